package harnesstest

import (
	"encoding/json"
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
