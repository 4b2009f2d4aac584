package report_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

func TestSave_IsLoaded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	b, a := record(2, changed), record(1, failed)
	require.NoError(t, report.Save(dir, b))
	require.NoError(t, report.Save(dir, a))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "faults.json"), []byte(`[{"fault":"550","backend":"local","promised":"a","happened":"b","kept":true,"took":"1.5s"}]`), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "faults-containers.json"), []byte(`[{"fault":"550"}]`), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bench.json"), []byte(`[{"name":"tap","median":"1ms","low":"500µs","high":"2ms","n":3,"note":"n"}]`), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "something-else.json"), []byte(`not ours`), 0o644))

	rep, err := report.Load(dir)
	require.NoError(t, err)
	a.Version, b.Version = 2, 2
	require.Empty(t, cmp.Diff([]report.Record{a, b}, rep.Records, cmpopts.EquateEmpty()), "in order")
	require.Equal(t, []report.Fault{{Fault: "550"}, {Fault: "550", Backend: "local", Promised: "a", Happened: "b", Kept: true, Took: milli(1500)}}, rep.Faults)
	require.Equal(t, []report.Figure{{Name: "tap", Median: milli(1), Low: milli(0.5), High: milli(2), N: 3, Note: "n"}}, rep.Figures)
}

func TestSave_ReplacesTheRecordOfTheSameTest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, r := range []report.Record{
		record(1, failed), record(1, nil),
		record(1, func(r *report.Record) { r.Backend = "containers" }),
		record(1, func(r *report.Record) { r.Package = "example.test/other" }),
	} {
		require.NoError(t, report.Save(dir, r))
	}
	rep, err := report.Load(dir)
	require.NoError(t, err)
	require.Len(t, rep.Records, 3)
	for _, r := range rep.Records {
		require.Equal(t, report.Passed, r.Outcome)
	}
}

func TestSave_Errors(t *testing.T) {
	t.Parallel()
	require.EqualError(t, report.Save("report", record(1, nil)),
		`save a record for the report: HARNESS_REPORT is "report": make it an absolute path, since every package's tests run in a directory of their own`)
	require.EqualError(t, report.Save(t.TempDir(), report.Record{Package: "p"}),
		`save a record for the report: it needs a package, a test and an outcome, and has "p", "" and ""`)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.ErrorContains(t, report.Save(file, record(1, nil)), "save the record of TestPress001/local: mkdir")
}

func TestLoad_Errors(t *testing.T) {
	t.Parallel()
	_, err := report.Load(filepath.Join(t.TempDir(), "nowhere"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	dir := t.TempDir()
	_, err = report.Write(dir)
	require.EqualError(t, err, "there is nothing to report in "+dir+": run the tests with HARNESS_REPORT set to its absolute path")

	for name, test := range map[string]struct{ file, data, want string }{
		"torn":            {"record-a.json", `{`, "unexpected end of JSON input: remove the file and run what wrote it again"},
		"no outcome":      {"record-a.json", `{"version":2}`, `its outcome is "", which is none of passed, failed and skipped: remove`},
		"another outcome": {"record-a.json", `{"version":2,"outcome":"FAILED"}`, `its outcome is "FAILED", which is none of passed, failed and skipped: remove`},
		"another version": {"record-a.json", `{"version":9}`, "it is a record of version 9, and this harness reads version 2: remove"},
		"no trace":        {"record-a.json", `{"version":2,"outcome":"passed","verdicts":[{}]}`, "it is not a whole record: remove"},
		"no message":      {"record-a.json", `{"version":2,"outcome":"passed","verdicts":[{"trace":{"mail":[{}]}}]}`, "it is not a whole record: remove"},
		"faults":          {"faults.json", `{}`, "faults.json: json: cannot unmarshal object"},
		"bench":           {"bench-2.json", `1`, "bench-2.json: json: cannot unmarshal number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, test.file), []byte(test.data), 0o644))
			_, err := report.Write(dir)
			require.ErrorContains(t, err, filepath.Join(dir, test.file))
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestWrite_LastWriterReportsAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var writers sync.WaitGroup
	for n := range 8 {
		writers.Go(func() {
			if err := report.Save(dir, record(n, nil)); err != nil {
				t.Error(err)
			}
			if _, err := report.Write(dir); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	page, err := os.ReadFile(filepath.Join(dir, report.PageFile))
	require.NoError(t, err)
	summary, err := os.ReadFile(filepath.Join(dir, report.SummaryFile))
	require.NoError(t, err)
	require.Contains(t, string(summary), "8 tests passed")
	for n := range 8 {
		require.Contains(t, string(page), fmt.Sprintf("TestPress%03d", n))
	}
	left, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	require.NoError(t, err)
	require.Empty(t, left, "no half-written file stays")
}

func TestClear_RemovesOnlyWhatTheReportWrote(t *testing.T) {
	t.Parallel()
	removed, err := report.Clear(filepath.Join(t.TempDir(), "nowhere"))
	require.NoError(t, err)
	require.Zero(t, removed)
	dir := t.TempDir()
	require.NoError(t, report.Save(dir, record(1, nil)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "faults-2.json"), []byte(`[{"fault":"550","backend":"local","kept":true}]`), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bench.json"), []byte(`[{"name":"tap","n":3}]`), 0o644))
	_, err = report.Write(dir)
	require.NoError(t, err)
	for _, name := range []string{"faults.json", "mine.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("[]"), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "record-old.json"), []byte(`{"version":7,"package":"p","test":"T","outcome":"passed"}`), 0o644))
	removed, err = report.Clear(dir)
	require.NoError(t, err)
	require.Equal(t, 7, removed)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	require.Equal(t, []string{"faults.json", "mine.txt"}, left, "what others have put there stays")
}

func TestCompare_KeepsBeforeAndAfter(t *testing.T) {
	t.Parallel()
	email := func(text string) *harness.TraceMail {
		return &harness.TraceMail{Message: &harness.Message{ID: "m1", Subject: "Welcome", Text: text, HTML: "<p>Hello  Kim</p>", Received: time.Now()}}
	}
	dir := t.TempDir()
	open := func(update bool) *golden.Set {
		set, err := golden.Open(dir, golden.Options{Update: update})
		require.NoError(t, err)
		return set
	}

	g, err := report.Compare(open(false), "welcome", email("Hello.\n"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.True(t, g.New())
	require.False(t, g.Changed())

	g, err = report.Compare(open(true), "welcome", email("Hello.\n"))
	require.NoError(t, err)
	require.True(t, g.New(), "the golden has just been made")
	require.Equal(t, "Hello.\n", g.After.Text)

	g, err = report.Compare(open(false), "welcome", email("Hello.\n"))
	require.NoError(t, err)
	require.False(t, g.New() || g.Changed())
	require.Equal(t, "m1", g.Message)

	other := email("Goodbye.\n")
	other.HTML = "<p>Hello Kim</p>" // says the same
	g, err = report.Compare(open(false), "welcome", other)
	var mismatch *golden.MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.True(t, g.Changed())
	require.Equal(t, "Hello.\n", g.Before.Text)
	require.Equal(t, "Goodbye.\n", g.After.Text)
	require.Equal(t, g.Before.HTML, g.After.HTML, "only what differs for a reader differs")
	require.Equal(t, g.Before.Email, g.After.Email)

	other.Subject = "Farewell"
	g, err = report.Compare(open(true), "welcome", other)
	require.NoError(t, err)
	require.True(t, g.Changed(), "a golden that is rewritten is shown as it was, too")
	require.Contains(t, g.Before.Email, "Subject: Welcome")
	require.Contains(t, g.After.Email, "Subject: Farewell")
}
