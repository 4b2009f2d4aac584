package harnesstest

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestT_Record(t *testing.T) {
	t.Parallel()
	v := &harness.Verdict{Outcome: harness.Holds, Trace: &harness.Trace{}}
	h := &T{T: t, Stack: &stack.Stack{}, backend: "local", began: time.Now().Add(-time.Second), verdicts: []*harness.Verdict{v}, compared: []report.Golden{{Name: "g"}}}
	h.note(" it broke\n")
	h.Picture("a page", []byte("png"))
	r := h.record("dir")
	require.Equal(t, "github.com/odoo-maintenance/inngest-harness/harness/harnesstest", r.Package)
	require.Equal(t, t.Name(), r.Test)
	require.Equal(t, "local", r.Backend)
	require.Equal(t, report.Passed, r.Outcome)
	require.Equal(t, []string{"it broke"}, r.Failures)
	require.Equal(t, []*harness.Verdict{v}, r.Verdicts)
	require.Equal(t, "g", r.Goldens[0].Name)
	require.Equal(t, []report.Picture{{Name: "a page", PNG: []byte("png")}}, r.Pictures)
	require.Equal(t, "dir", r.Evidence)
	require.GreaterOrEqual(t, r.Took, time.Second)
}

// noBackend is a backend whose servers are noServers.
type noBackend struct{}

func (noBackend) Name() string { return "none" }
func (noBackend) Start(context.Context, harness.BackendOptions) (harness.Servers, error) {
	return noServers{}, nil
}

// noServers are servers that do not run.
type noServers struct{ harness.Servers }

func (noServers) Endpoints() harness.Endpoints {
	return harness.Endpoints{Inngest: "http://127.0.0.1:1", MailHog: "http://127.0.0.1:1", SMTP: "127.0.0.1:1", Mongo: "mongodb://127.0.0.1:1"}
}
func (noServers) Describe() []harness.ServerInfo { return nil }
func (noServers) Tail(harness.Service) []string  { return []string{"a line"} }
func (noServers) Close(context.Context) error    { return nil }

func TestT_KeepsTheRestOfTheEvidence(t *testing.T) {
	t.Parallel()
	st, err := stack.Start(t.Context(), noBackend{}, stack.Options{WithoutTaps: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close(context.Background())) }()
	mail := []harness.TraceMail{{Message: &harness.Message{Raw: []byte("Subject: x\r\n\r\n")}}}
	bad := &harness.Verdict{Outcome: harness.Holds, Trace: &harness.Trace{Mail: mail, Runs: []harness.TraceRun{{Output: json.RawMessage("{bad")}}}}
	h := &T{T: t, Stack: st, verdicts: []*harness.Verdict{bad, {Outcome: harness.Holds, Trace: &harness.Trace{}}}}
	dir := filepath.Join(t.TempDir(), "evidence")
	require.ErrorContains(t, h.keep(dir), "write verdict 1: json: error")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, "-rw-------", info.Mode().String(), e.Name())
	}
	require.Equal(t, []string{"1-mail-1.eml", "1-verdict.txt", "2-verdict.json", "2-verdict.txt", "inngest.log", "mailhog.log", "mongo.log"}, names)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, "drwx------", info.Mode().String(), "evidence is the app's data")
}

func TestT_RecordsATestWhoseVerdictCannotBeSaved(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(report.Variable, dir)
	failing := &testing.T{}
	h := &T{T: failing, verdicts: []*harness.Verdict{{Trace: &harness.Trace{Runs: []harness.TraceRun{{Output: json.RawMessage("{bad")}}}}}}
	h.save(report.Record{Package: "p", Test: "T", Outcome: report.Passed, Verdicts: h.verdicts})
	require.True(t, failing.Failed())
	rep, err := report.Load(dir)
	require.NoError(t, err)
	require.Len(t, rep.Records, 1)
	require.Equal(t, report.Failed, rep.Records[0].Outcome)
	require.Contains(t, rep.Records[0].Failures[0], "save the record of T: json: error")
}
