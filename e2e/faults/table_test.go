package faults_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// result is the result of one row, as the report shows it.
type result struct {
	report.Fault
	index int // in the matrix
}

// table collects results. It is safe for concurrent use.
type table struct {
	mu      sync.Mutex
	results []result
}

func (t *table) add(r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.results = append(t.results, r)
}

// sorted returns the results in the order of the matrix, backend by backend.
func (t *table) sorted() []result {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.SortedFunc(slices.Values(t.results), func(a, b result) int {
		return cmp.Or(cmp.Compare(a.Backend, b.Backend), cmp.Compare(a.index, b.index))
	})
}

func (t *table) print(w io.Writer) error {
	results := t.sorted()
	kept, backend := 0, ""
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range results {
		if r.Backend != backend {
			backend = r.Backend
			fmt.Fprintf(tw, "\nfault (%s backend)\tpromised\thappened\ttime\n", backend)
		}
		mark := ""
		if r.Kept {
			kept++
		} else {
			mark = "NOT KEPT: "
		}
		fmt.Fprintf(tw, "%s\t%s\t%s%s\t%.1f s\n", r.Fault.Fault, r.Promised, mark, r.Happened, time.Duration(r.Took).Seconds())
	}
	fmt.Fprintf(tw, "\n%d of %d promises kept\n", kept, len(results))
	return tw.Flush()
}

// save writes the results to faults.json in a directory that it makes, and writes the report there again: it was written
// when the last test had ended.
func (t *table) save(dir string) error {
	var faults []report.Fault
	for _, r := range t.sorted() {
		faults = append(faults, r.Fault)
	}
	data, err := json.MarshalIndent(faults, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory for the report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "faults.json"), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("save the fault matrix: %w", err)
	}
	_, err = report.Write(dir)
	return err
}

func TestMatrix_AsTable(t *testing.T) {
	t.Parallel()
	var tb table
	tb.add(result{report.Fault{Fault: "550", Backend: "local", Promised: "failed", Happened: "sent", Took: harness.Duration(2 * time.Second)}, 2})
	tb.add(result{report.Fault{Fault: "451 twice", Backend: "local", Promised: "sent", Happened: "sent, 1 copy", Kept: true, Took: harness.Duration(1250 * time.Millisecond)}, 1})
	var out bytes.Buffer
	require.NoError(t, tb.print(&out))
	require.Equal(t, `
fault (local backend)  promised  happened        time
451 twice              sent      sent, 1 copy    1.2 s
550                    failed    NOT KEPT: sent  2.0 s

1 of 2 promises kept
`, out.String())

	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, tb.save(dir))
	data, err := os.ReadFile(filepath.Join(dir, "faults.json"))
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"fault": "451 twice", "backend": "local", "promised": "sent", "happened": "sent, 1 copy", "kept": true, "took": "1.25s"},
		{"fault": "550", "backend": "local", "promised": "failed", "happened": "sent", "kept": false, "took": "2s"}
	]`, string(data))
	page, err := os.ReadFile(filepath.Join(dir, report.PageFile))
	require.NoError(t, err)
	require.Contains(t, string(page), "451 twice", "the report shows the matrix")
}
