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
)

// result is one row of the matrix after it has been run.
type result struct {
	Fault    string        `json:"fault"`
	Backend  string        `json:"backend"`
	Promised string        `json:"promised"`
	Happened string        `json:"happened"`
	Kept     bool          `json:"kept"`
	Took     time.Duration `json:"-"`
	Seconds  float64       `json:"seconds"`

	place int // in the matrix
}

// table gathers results, in any order and from any goroutine.
type table struct {
	mu      sync.Mutex
	results []result
}

func (t *table) add(r result) {
	r.Seconds = r.Took.Seconds()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.results = append(t.results, r)
}

// sorted returns the results in the order of the matrix, backend by backend.
func (t *table) sorted() []result {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.SortedFunc(slices.Values(t.results), func(a, b result) int {
		return cmp.Or(cmp.Compare(a.Backend, b.Backend), cmp.Compare(a.place, b.place))
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
		fmt.Fprintf(tw, "%s\t%s\t%s%s\t%.1f s\n", r.Fault, r.Promised, mark, r.Happened, r.Seconds)
	}
	fmt.Fprintf(tw, "\n%d of %d promises kept\n", kept, len(results))
	return tw.Flush()
}

// save writes the results to faults.json in a directory that it makes.
func (t *table) save(dir string) error {
	data, err := json.MarshalIndent(t.sorted(), "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory for the report: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "faults.json"), append(data, '\n'), 0o644)
}

func TestTable(t *testing.T) {
	t.Parallel()
	var tb table
	tb.add(result{Fault: "550", Backend: "local", Promised: "failed", Happened: "sent", Took: 2 * time.Second, place: 2})
	tb.add(result{Fault: "451 twice", Backend: "local", Promised: "sent", Happened: "sent, 1 copy", Kept: true, Took: 1250 * time.Millisecond, place: 1})
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
		{"fault": "451 twice", "backend": "local", "promised": "sent", "happened": "sent, 1 copy", "kept": true, "seconds": 1.25},
		{"fault": "550", "backend": "local", "promised": "failed", "happened": "sent", "kept": false, "seconds": 2}
	]`, string(data))
}
