package harnesstest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
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

func TestMain_ReportsUnusedGolden(t *testing.T) {
	t.Parallel()
	s, _ := suiteWithGolden(t, false)
	require.NoError(t, s.unusedGoldens(false), "not known where some tests did not run")
	require.EqualError(t, s.unusedGoldens(true), "golden emails that no test compares with: welcome: remove them, or, where a test of theirs skips itself, have it do so within Suite.Run")

	email := &harness.TraceMail{Message: &harness.Message{Subject: "Welcome", Text: "Hello.\n"}}
	require.NoError(t, (&T{suite: s}).compareGolden("welcome", email, nil))
	require.NoError(t, s.unusedGoldens(true))

	updating, dir := suiteWithGolden(t, true)
	require.ErrorContains(t, updating.unusedGoldens(true), "welcome: remove them")
	require.DirExists(t, filepath.Join(dir, "welcome"), "-update removes nothing: a test that was skipped may need it")
}

// skippable is a test that was skipped, or not.
type skippable struct {
	testing.TB
	skipped bool
}

func (s skippable) Skipped() bool { return s.skipped }

func TestMain_KeepsGoldenOfSkippedTest(t *testing.T) {
	t.Parallel()
	for _, update := range []bool{false, true} {
		s, dir := suiteWithGolden(t, update)
		s.noteSkip(skippable{t, false})
		require.Error(t, s.unusedGoldens(true))
		s.noteSkip(skippable{t, true})
		s.noteSkip(skippable{t, false})
		require.NoError(t, s.unusedGoldens(true), "one skipped test is enough")
		require.DirExists(t, filepath.Join(dir, "welcome"))
	}
}

func TestExpect_FailsWhereEmailDiffersFromGolden(t *testing.T) {
	t.Parallel()
	s, _ := suiteWithGolden(t, false)
	email := &harness.TraceMail{Message: &harness.Message{Subject: "Welcome", Text: "Goodbye.\n"}}
	err := (&T{suite: s}).compareGolden("welcome", email, nil)
	require.ErrorContains(t, err, "Hello.")
	require.ErrorContains(t, err, "Goodbye.")
	require.ErrorContains(t, (&T{suite: &Suite{}}).compareGolden("welcome", email, nil), "the suite has no goldens: set Options.Golden")
}
