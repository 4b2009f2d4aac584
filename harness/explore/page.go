package explore

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// WriteHTML writes the result as a page: one file without a script, which loads nothing.
func (r *Result) WriteHTML(w io.Writer) error { return r.report().WriteHTML(w) }

// WriteJUnit writes the result as JUnit XML: a test for each schedule, a suite for each number of faults.
func (r *Result) WriteJUnit(w io.Writer) error { return r.report().WriteJUnit(w) }

// WriteReport writes both into a directory: report.html, whose name it returns, and junit.xml.
func (r *Result) WriteReport(dir string) (page string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	page = filepath.Join(dir, "report.html")
	for name, write := range map[string]func(io.Writer) error{page: r.WriteHTML, filepath.Join(dir, "junit.xml"): r.WriteJUnit} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return "", err
		}
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			return "", err
		}
	}
	return page, nil
}

func (r *Result) report() *report.Exploration {
	x := &report.Exploration{Summary: r.Summary(), Target: r.Target, Seed: r.Seed, NotExplored: r.limits()}
	rows := map[Hop]int{}
	addHop := func(h Hop) {
		rows[h] = len(x.Hops)
		says := h.String()
		if h.When != "" {
			says = fmt.Sprintf("%s %s", h.When, h)
		}
		x.Hops = append(x.Hops, says)
	}
	single := func(o Outcome) (Fault, bool) {
		if len(o.Schedule.Faults) != 1 {
			return Fault{}, false
		}
		return o.Schedule.Faults[0], true
	}
	used := map[Kind]bool{}
	start := Hop{At: atStart}
	for _, o := range r.Outcomes {
		if f, ok := single(o); ok {
			used[f.Do] = true
			if _, ok := rows[start]; !ok && f.Hop == start {
				addHop(start)
			}
		}
	}
	for _, h := range r.Hops {
		addHop(h)
	}
	columns := map[Kind]int{}
	for _, k := range kinds {
		if used[k.Kind] {
			columns[k.Kind] = len(x.Kinds)
			x.Kinds = append(x.Kinds, report.ExploredKind{Name: string(k.Kind), Says: k.says})
		}
	}
	_, many := named(1)
	x.Counts = append(x.Counts, report.ExploredCount{Name: many, Possible: r.Single.Possible})
	for i, c := range r.Further {
		_, many := named(i + 2)
		x.Counts = append(x.Counts, report.ExploredCount{Name: many, Possible: c.Possible})
	}
	for _, o := range r.Outcomes {
		s := report.ExploredSchedule{Story: o.Schedule.String(), Faults: len(o.Schedule.Faults), Why: o.Why, NotRun: o.NotRun, Took: time.Duration(o.Took)}
		if f, ok := single(o); ok {
			s.Hop, s.Kind = rows[f.Hop], columns[f.Do]
		}
		for _, v := range o.Violations {
			finding := 1 + slices.IndexFunc(r.Findings, func(f Finding) bool { return f.kind() == v.kind() })
			s.Violations = append(s.Violations, report.ExploredViolation{Rule: string(v.Rule), Says: v.Says, Finding: finding})
		}
		x.Schedules = append(x.Schedules, s)
	}
	slices.SortFunc(x.Schedules, func(a, b report.ExploredSchedule) int { // not as they happened to end
		return cmp.Or(cmp.Compare(a.Faults, b.Faults), cmp.Compare(a.Hop, b.Hop), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Story, b.Story))
	})
	for _, f := range r.Findings {
		x.Findings = append(x.Findings, report.ExploredFinding{
			Rule: string(f.Rule), Says: f.Says, Story: f.Story, Schedules: f.Schedules, Unsure: f.Unsure, Verdict: f.Verdict,
		})
	}
	return x
}
