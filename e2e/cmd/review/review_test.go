package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// goldens copies the fixtures' goldens, with another text in the one called urgent.
func goldens(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "golden")
	require.NoError(t, os.CopyFS(dir, fixtures.Golden()))
	for _, name := range []string{"body.txt", "body.html"} {
		file := filepath.Join(dir, "urgent", name)
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		before := bytes.ReplaceAll(data, []byte("Open the request"), []byte("Look at the request"))
		require.NotEqual(t, data, before)
		require.NoError(t, os.WriteFile(file, before, 0o644))
	}
	return dir
}

func TestReview_ShowsEveryFixtureBesideItsGolden(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, options{dir: dir, golden: goldens(t), once: true}))
	require.Contains(t, out.String(), "1 email changed")
	require.Contains(t, out.String(), filepath.Join(dir, report.PageFile))
	require.Contains(t, out.String(), "MailHog  http://127.0.0.1:")

	rep, err := report.Load(dir)
	require.NoError(t, err)
	all := len(fixtures.Requests())
	for _, r := range fixtures.HostileRequests() {
		if r.Accepted() {
			all++
		}
	}
	require.Len(t, rep.Records, all)
	changed := map[string]bool{}
	for _, r := range rep.Records {
		require.Equal(t, report.Passed, r.Outcome, r.Test)
		for _, g := range r.Goldens {
			require.False(t, g.New(), r.Test)
			changed[g.Name] = g.Changed()
		}
	}
	require.Len(t, changed, len(fixtures.Requests()))
	for name, is := range changed {
		require.Equal(t, name == "urgent", is, name)
	}
	require.FileExists(t, filepath.Join(dir, report.PageFile))
}

func TestReview_EndsOnInterrupt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{text: "The emails stay in MailHog", seen: cancel}
	require.NoError(t, run(ctx, out, options{dir: t.TempDir()}))
	require.Contains(t, out.String(), "until you press Ctrl-C")
}

// watched calls seen when a text has been written to it.
type watched struct {
	strings.Builder
	text string
	seen func()
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Builder.Write(p)
	if strings.Contains(w.String(), w.text) {
		w.seen()
	}
	return n, err
}
