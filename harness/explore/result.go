package explore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// A Result is what an exploration has found, and how far it went.
type Result struct {
	// Target is where it ran, Seed what decided the choice of schedules.
	Target string `json:"target"`
	Seed   uint64 `json:"seed"`
	// Hops are those of the run without faults, in sequence.
	Hops []Hop `json:"hops"`
	// Single counts the schedules of one fault, Further those of two, of three, and so on.
	Single  Count   `json:"single"`
	Further []Count `json:"further,omitempty"`
	// Findings has one for each kind of violation, the shortest schedules first.
	Findings []Finding `json:"findings,omitempty"`
	// Outcomes are those of all schedules, in the sequence in which they ended.
	Outcomes []Outcome `json:"outcomes"`
	// NotExplored says what was left out, and why.
	NotExplored []string      `json:"notExplored,omitempty"`
	Took        time.Duration `json:"-"`
}

// MarshalJSON implements [json.Marshaler].
func (r *Result) MarshalJSON() ([]byte, error) {
	type plain Result // without methods
	return json.Marshal(struct {
		*plain
		Took jsontime.Duration `json:"took"`
	}{(*plain)(r), jsontime.Duration(r.Took)})
}

// Count counts schedules.
type Count struct {
	Possible int `json:"possible"`
	Ran      int `json:"ran"`
	// Missed are those of which a fault never acted, Unjudged those that could not be judged. Neither counts as run.
	Missed   int `json:"missed,omitempty"`
	Unjudged int `json:"unjudged,omitempty"`
}

// An Outcome is what one schedule led to.
type Outcome struct {
	Schedule Schedule `json:"schedule"`
	// Violations are empty where everything was as it should be.
	Violations []Violation `json:"violations,omitempty"`
	// Why is the first sentence of the verdict.
	Why string `json:"why,omitempty"`
	// NotRun says why the schedule does not count as run; empty where it does.
	NotRun string            `json:"notRun,omitempty"`
	Took   jsontime.Duration `json:"took"`
}

// A Finding is a kind of violation.
type Finding struct {
	Violation
	// Schedule is the shortest that shows it, Story what it says.
	Schedule Schedule `json:"schedule"`
	Story    string   `json:"story"`
	// Schedules is how many showed it.
	Schedules int `json:"schedules"`
	// Unsure says that the schedule did not show it a second time, and what it led to instead; empty where it did.
	Unsure string `json:"unsure,omitempty"`
	// Verdict is the verdict of that schedule, with the trace.
	Verdict *harness.Verdict `json:"verdict"`
}

// more counts the schedules of more than one fault.
func (r *Result) more() (n int) {
	for _, c := range r.Further {
		n += c.Ran + c.Missed + c.Unjudged
	}
	return n
}

// outcome is what is kept of it.
func (o outcome) outcome() Outcome {
	kept := Outcome{Schedule: o.schedule, Violations: o.violations, Took: jsontime.Duration(o.took)}
	if o.verdict != nil {
		kept.Why = o.verdict.Why
	}
	switch {
	case len(o.missed) > 0:
		kept.NotRun = neverCame(o.missed[0])
	case o.unjudged != "" && len(o.violations) == 0:
		kept.NotRun = o.unjudged
	}
	return kept
}

// unconfirmed is said of a finding until its schedule has shown it a second time.
const unconfirmed = "the exploration ended before it was tried a second time"

// record keeps an outcome.
func (r *Result) record(o outcome) {
	r.Outcomes = append(r.Outcomes, o.outcome())
	if len(o.missed) > 0 {
		return
	}
	for _, v := range o.violations {
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.kind() == v.kind() })
		if i < 0 {
			r.Findings = append(r.Findings, Finding{Violation: v, Schedule: o.schedule, Story: o.schedule.String(), Schedules: 1, Unsure: unconfirmed, Verdict: o.verdict})
			continue
		}
		f := &r.Findings[i]
		f.Schedules++
		if compare(o.schedule, f.Schedule) < 0 {
			f.Violation, f.Schedule, f.Story, f.Verdict = v, o.schedule, o.schedule.String(), o.verdict
		}
	}
}

// compare puts shorter schedules first, then those with more common faults. What is left does not depend on which ended first.
func compare(a, b Schedule) int {
	rarity := func(s Schedule) (sum int) {
		for _, f := range s.Faults {
			sum += slices.IndexFunc(kinds, func(k kindWord) bool { return k.Kind == f.Do })
		}
		return sum
	}
	return cmp.Or(cmp.Compare(len(a.Faults), len(b.Faults)), cmp.Compare(rarity(a), rarity(b)), cmp.Compare(a.key(), b.key()))
}

// sort puts the shortest schedules first.
func (r *Result) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return compare(a.Schedule, b.Schedule) })
}

// confirmTries is how many schedules are tried until one shows a finding again.
const confirmTries = 3

// conclude makes each finding as short as it can be, and confirms it: of the schedules that showed it, one that shows it again
// tells it.
func (e *explorer) conclude(ctx context.Context) error {
	r := e.result
	if len(r.Findings) == 0 {
		return nil
	}
	v, err := e.env(ctx)
	if err != nil {
		return err
	}
	for i, f := range slices.Clone(r.Findings) {
		showed := r.showed(f)
		for n, s := range showed[:min(len(showed), confirmTries)] {
			told, err := e.confirm(ctx, v, f, s)
			if err != nil {
				return err
			}
			if n == 0 || told.Unsure == "" {
				r.Findings[i] = told
			}
			if told.Unsure == "" {
				break
			}
		}
	}
	e.release(v)
	return e.dropHasty(ctx)
}

// unhurried is the pause before each retry with which a finding must still show where retries come at once.
const unhurried = 10 * time.Second

// dropHasty drops the findings that only show because retries come at once, sooner than the claims of an app expire.
func (e *explorer) dropHasty(ctx context.Context) error {
	if e.o.RetryPause > 0 {
		return nil
	}
	o := e.o
	defer func() { e.o = o }()
	e.o.RetryPause = unhurried
	e.o.Timeout += maxAttempts * unhurried
	again := slices.Clone(e.result.Findings)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(e.o.Parallel)
	for i, f := range again {
		if f.Unsure != "" || f.Rule != RuleExpectation && f.Rule != RuleHidden {
			continue
		}
		g.Go(func() error { // beside each other: they mostly wait
			v, err := e.env(ctx)
			if err != nil {
				return err
			}
			defer e.release(v)
			again[i], err = e.confirm(ctx, v, f, f.Schedule)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var kept []Finding
	hasty := 0
	for i, f := range e.result.Findings {
		if f.Unsure == "" && again[i].Unsure != "" {
			hasty += f.Schedules
			e.result.drop(f)
			continue
		}
		kept = append(kept, f)
	}
	e.result.Findings = kept
	if hasty > 0 {
		e.result.NotExplored = append(e.result.NotExplored, fmt.Sprintf("%s that the app only violates where retries come at once, and not %v "+
			"apart: its own time limits need a pause between them (--retry-pause)", text.Count(hasty, "schedule", "schedules"), unhurried))
	}
	return nil
}

// drop makes the schedules that showed a finding ones that do not count as run.
func (r *Result) drop(f Finding) {
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		o.Violations = slices.DeleteFunc(slices.Clone(o.Violations), func(v Violation) bool {
			if v.kind() != f.kind() {
				return false
			}
			o.NotRun = "it needs a pause before retries"
			return true
		})
	}
}

// showed returns the schedules that showed a finding, the best to tell it by first.
func (r *Result) showed(f Finding) (all []Schedule) {
	for _, o := range r.Outcomes {
		if o.NotRun == "" && slices.ContainsFunc(o.Violations, func(v Violation) bool { return v.kind() == f.kind() }) {
			all = append(all, o.Schedule)
		}
	}
	slices.SortFunc(all, compare)
	return all
}

// confirm returns a finding as a schedule shows it when it is tried again, without the faults that it does not need.
func (e *explorer) confirm(ctx context.Context, v env, f Finding, s Schedule) (Finding, error) {
	shows := func(s Schedule) (o outcome, ok bool, err error) {
		if o, err = e.try(ctx, v, s); err != nil || len(o.missed) > 0 {
			return o, false, err
		}
		i := slices.IndexFunc(o.violations, func(v Violation) bool { return v.kind() == f.kind() })
		if i < 0 {
			return o, false, nil
		}
		f.Violation, f.Schedule, f.Story, f.Verdict, f.Unsure = o.violations[i], s, s.String(), o.verdict, ""
		return o, true, nil
	}
	o, ok, err := shows(s)
	if err != nil {
		return f, err
	}
	if !ok {
		f.Unsure = "it did not show again: " + o.instead()
		return f, nil
	}
	for i := 0; i < len(f.Schedule.Faults) && len(f.Schedule.Faults) > 1; {
		if _, ok, err = shows(f.Schedule.without(i)); err != nil {
			return f, err
		} else if !ok {
			i++
		}
	}
	return f, nil
}

// instead says what an outcome is, where it is not the expected violation.
func (o outcome) instead() string {
	switch {
	case len(o.missed) > 0:
		return neverCame(o.missed[0])
	case len(o.violations) > 0:
		return o.violations[0].Says
	case o.unjudged != "":
		return o.unjudged
	}
	return "everything was as it should be"
}

// neverCame says why a fault never acted.
func neverCame(f Fault) string { return "the run never came to " + f.Hop.String() }

// Err returns an error if the result is no answer, although nothing was found: not every single fault could be judged.
func (r *Result) Err() error {
	c := r.Single
	if len(r.Findings) > 0 || c.Unjudged == 0 && (c.Ran > 0 || c.Possible == 0) {
		return nil
	}
	return fmt.Errorf("%d of %s could not be judged, so it is not known whether there is a violation", c.Possible-c.Ran, text.Count(c.Possible, "single fault", "single faults"))
}

// Summary says in one sentence what was explored and found.
func (r *Result) Summary() string {
	total := r.Single.Ran
	parts := []string{part(r.Single, 1)}
	for i, c := range r.Further {
		total += c.Ran
		if c.Possible > 0 {
			parts = append(parts, part(c, i+2))
		}
	}
	violations := 0
	for _, f := range r.Findings {
		violations += f.Schedules
	}
	found := "no violation"
	if violations > 0 {
		found = text.Count(violations, "violation", "violations") + " of " + text.Count(len(r.Findings), "kind", "kinds")
	}
	return fmt.Sprintf("explored %s (%s) in %v, %s", text.Count(total, "schedule", "schedules"), strings.Join(parts, "; "), text.Elapsed(r.Took), found)
}

// part says how many of the possible schedules of so many faults ran.
func part(c Count, faults int) string {
	one, many := named(faults)
	possible := text.Count(c.Possible, one, many)
	if c.Ran == c.Possible {
		return "all " + possible
	}
	return fmt.Sprintf("%d of %s", c.Ran, possible)
}

// named names one, and several, schedules of so many faults.
func named(faults int) (one, many string) {
	switch faults {
	case 1:
		return "single fault", "single faults"
	case 2:
		return "pair", "pairs"
	case 3:
		return "triple", "triples"
	}
	return fmt.Sprintf("set of %d faults", faults), fmt.Sprintf("sets of %d faults", faults)
}

// String prints the result for a person.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Summary())
	for i, f := range r.Findings {
		fmt.Fprintf(&b, "\n%d. %s\n   when %s\n", i+1, f.Says, f.Story)
		if f.Unsure != "" {
			fmt.Fprintf(&b, "   not certain: %s\n", f.Unsure)
		}
		if f.Schedules > 1 {
			fmt.Fprintf(&b, "   %d schedules show it, none of them shorter\n", f.Schedules)
		}
		for line := range strings.SplitSeq(whatHappened(f.Verdict), "\n") {
			fmt.Fprintf(&b, "     %s\n", line)
		}
	}
	if left := r.leftOut(); len(left) > 0 {
		fmt.Fprint(&b, "\nnot explored:\n")
		for _, l := range left {
			fmt.Fprintf(&b, "  - %s\n", l)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// whatHappened is a verdict beside violations. One that holds says nothing of them: they are none of the expectation's.
func whatHappened(v *harness.Verdict) string {
	_, chain, _ := strings.Cut(v.String(), "\n")
	if v.Outcome == harness.Holds {
		return "what happened:\n" + chain
	}
	return v.String()
}

// shownLeftOut is how many schedules that do not count as run are named.
const shownLeftOut = 5

// leftOut says what was not explored.
func (r *Result) leftOut() []string {
	left := r.limits()
	var notRun []Outcome
	for _, o := range r.Outcomes {
		if o.NotRun != "" {
			notRun = append(notRun, o)
		}
	}
	for _, o := range notRun[:min(len(notRun), shownLeftOut)] {
		left = append(left, fmt.Sprintf("%s: %s", o.Schedule, o.NotRun))
	}
	if more := len(notRun) - shownLeftOut; more > 0 {
		left = append(left, fmt.Sprintf("%s more, in the JSON", text.Count(more, "schedule", "schedules")))
	}
	return left
}

// limits says what was left out without being tried.
func (r *Result) limits() []string {
	left := slices.Clone(r.NotExplored)
	for i, c := range append([]Count{r.Single}, r.Further...) {
		one, many := named(i + 1)
		why := "the limit on schedules, or on time, was reached"
		if i == 0 {
			why = "the exploration ended before"
		}
		if untried := c.Possible - c.Ran - c.Missed - c.Unjudged; untried > 0 {
			left = append(left, fmt.Sprintf("%d of %s: %s", untried, text.Count(c.Possible, one, many), why))
		}
	}
	return left
}
