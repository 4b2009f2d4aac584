package harnesstest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// suiteWithGolden has one golden email, called welcome.
func suiteWithGolden(t *testing.T, update bool) (*Suite, string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "welcome"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "welcome", "email.txt"), []byte("Subject: Welcome\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "welcome", "body.txt"), []byte("Hello.\n"), 0o644))
	set, err := golden.Open(dir, golden.Options{Update: update})
	require.NoError(t, err)
	return &Suite{o: Options{Golden: dir}, update: &update, golden: func() (*golden.Set, error) { return set, nil }}, dir
}

func TestAGoldenThatNobodyUsesIsReported(t *testing.T) {
	t.Parallel()
	s, _ := suiteWithGolden(t, false)
	require.NoError(t, s.unusedGoldens(false), "who knows, where some tests did not run")
	require.EqualError(t, s.unusedGoldens(true), "golden emails that no test compares with: welcome: remove them, or run with -update")

	email := &harness.TraceMail{Message: &inbox.Message{Subject: "Welcome", Text: "Hello.\n"}}
	require.NoError(t, (&T{suite: s}).compareGolden("welcome", email, nil))
	require.NoError(t, s.unusedGoldens(true))

	updating, dir := suiteWithGolden(t, true)
	require.NoError(t, updating.unusedGoldens(true))
	require.NoDirExists(t, filepath.Join(dir, "welcome"), "-update removes it")
}

func TestAnEmailThatIsNotLikeItsGolden(t *testing.T) {
	t.Parallel()
	s, _ := suiteWithGolden(t, false)
	email := &harness.TraceMail{Message: &inbox.Message{Subject: "Welcome", Text: "Goodbye.\n"}}
	err := (&T{suite: s}).compareGolden("welcome", email, nil)
	require.ErrorContains(t, err, "Hello.")
	require.ErrorContains(t, err, "Goodbye.")
	require.ErrorContains(t, (&T{suite: &Suite{}}).compareGolden("welcome", email, nil), "the suite has no goldens: set Options.Golden")
}
