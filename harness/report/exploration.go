package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// An Exploration is what an exploration of faults has found, as its page and its JUnit file show it. Package explore makes one
// of its results.
type Exploration struct {
	// Summary is one sentence. Target says where it ran, Seed what decided the choice of schedules.
	Summary, Target string
	Seed            uint64
	// Hops and Kinds are the rows and the columns of the table of single faults.
	Hops  []string
	Kinds []ExploredKind
	// Counts has one for each number of faults in a schedule.
	Counts []ExploredCount
	// Schedules are in the sequence in which they are shown.
	Schedules []ExploredSchedule
	Findings  []ExploredFinding
	// NotExplored says what was left out, and why.
	NotExplored []string
}

// An ExploredKind is what goes wrong at a hop. Says is one sentence.
type ExploredKind struct{ Name, Says string }

// An ExploredCount counts the schedules of a number of faults, as in "pairs".
type ExploredCount struct {
	Name     string
	Possible int
}

// An ExploredSchedule is a set of faults, and what it led to.
type ExploredSchedule struct {
	// Story is the schedule in a sentence.
	Story  string
	Faults int
	// Hop and Kind are the place in the table of a single fault, counted from 0.
	Hop, Kind int
	// Violations are empty where everything was as it should be. Why is the first sentence of the verdict.
	Violations []ExploredViolation
	Why        string
	// NotRun says why it does not count as run; empty where it does.
	NotRun string
	Took   time.Duration
}

// An ExploredViolation is one way in which something is not as it should be.
type ExploredViolation struct {
	Rule, Says string
	// Finding is the number of the finding that it belongs to, from 1. Zero: none.
	Finding int
}

// An ExploredFinding is a kind of violation, with the shortest schedule that shows it.
type ExploredFinding struct {
	Rule, Says, Story string
	// Schedules is how many showed it. Unsure says why it is not certain; empty where it is.
	Schedules int
	Unsure    string
	Verdict   *harness.Verdict
}

// The outcomes of a schedule.
const (
	exploredHeld     = "held"
	exploredViolated = "violated"
	exploredNotRun   = "not run"
)

func (s *ExploredSchedule) outcome() string {
	switch {
	case s.NotRun != "":
		return exploredNotRun
	case len(s.Violations) > 0:
		return exploredViolated
	}
	return exploredHeld
}

// exploration is what the template shows.
type exploration struct {
	*Exploration
	Title    string
	Findings []exploredFinding
	Rows     []exploredRow
	Counts   []exploredCount
	// Ended says that it ended before all single faults were tried.
	Ended   bool
	Singles []exploredSchedule
	// Others are the schedules of several faults that violate something, or did not run.
	Others []exploredSchedule
}

type exploredFinding struct {
	ExploredFinding
	ID    string
	Shown verdict
}

type exploredSchedule struct {
	*ExploredSchedule
	ID      string
	Outcome string
}

type exploredCount struct {
	ExploredCount
	Ran, Held, Violated, NotRun int
}

// exploredRow is a row of the table. A cell has the schedules of one kind of fault; more than one where several events can be
// sent.
type exploredRow struct {
	Hop   string
	Cells [][]exploredSchedule
}

// WriteHTML writes the page: one file without a script, which loads nothing.
func (x *Exploration) WriteHTML(w io.Writer) error { return render(w, "exploration.html", x.page()) }

func (x *Exploration) page() *exploration {
	p := &exploration{Exploration: x, Title: "No violation"}
	if n := len(x.Findings); n > 0 {
		p.Title = text.Count(n, "kind of violation", "kinds of violations")
	}
	for i, f := range x.Findings {
		p.Findings = append(p.Findings, exploredFinding{f, fmt.Sprintf("f%d", i+1), verdictOf(f.Verdict)})
	}
	for _, hop := range x.Hops {
		p.Rows = append(p.Rows, exploredRow{Hop: hop, Cells: make([][]exploredSchedule, len(x.Kinds))})
	}
	for i, c := range x.Counts {
		p.Counts = append(p.Counts, x.count(c, i+1))
	}
	p.Ended = len(p.Counts) > 0 && p.Counts[0].Ran+p.Counts[0].NotRun < p.Counts[0].Possible
	for i := range x.Schedules {
		s := exploredSchedule{&x.Schedules[i], fmt.Sprintf("s%d", i+1), x.Schedules[i].outcome()}
		switch {
		case s.Faults != 1:
			if s.Outcome != exploredHeld {
				p.Others = append(p.Others, s)
			}
			continue
		case s.Hop < len(p.Rows) && s.Kind < len(x.Kinds):
			cell := &p.Rows[s.Hop].Cells[s.Kind]
			*cell = append(*cell, s)
		}
		p.Singles = append(p.Singles, s)
	}
	return p
}

func (x *Exploration) count(c ExploredCount, faults int) exploredCount {
	counted := exploredCount{ExploredCount: c}
	for _, s := range x.Schedules {
		if s.Faults != faults {
			continue
		}
		switch s.outcome() {
		case exploredHeld:
			counted.Held++
		case exploredViolated:
			counted.Violated++
		default:
			counted.NotRun++
		}
	}
	counted.Ran = counted.Held + counted.Violated
	return counted
}

// WriteJUnit writes the schedules as JUnit XML: one suite for each number of faults.
func (x *Exploration) WriteJUnit(w io.Writer) error {
	var suites []junitSuite
	for i, count := range x.Counts {
		suite := junitSuite{Name: count.Name}
		for _, s := range x.Schedules {
			if s.Faults != i+1 {
				continue
			}
			c := junitCase{Name: s.Story, Classname: "explore", Out: s.Why}
			switch s.outcome() {
			case exploredViolated:
				c.Failure = &junitFailure{Message: firstLine(s.Violations[0].Says), Type: s.Violations[0].Rule, Text: x.violationText(s)}
			case exploredNotRun:
				c.Skipped = &junitSkipped{Message: s.NotRun}
			}
			suite.add(c, s.Took)
		}
		suites = append(suites, suite)
	}
	return writeJUnit(w, suites)
}

// violationText is all that is known of what a schedule violates.
func (x *Exploration) violationText(s ExploredSchedule) string {
	var texts []string
	for _, v := range s.Violations {
		texts = append(texts, v.Says)
		if i := v.Finding - 1; i >= 0 && i < len(x.Findings) && x.Findings[i].Story == s.Story {
			texts = append(texts, x.Findings[i].Verdict.String())
		}
	}
	return strings.Join(texts, "\n\n")
}
