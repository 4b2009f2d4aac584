package explore

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// found is a result with two findings.
func found() *Result {
	call := Fault{Hop: Hop{At: tap.AtCall, When: Before, Function: "shop-notify", N: 1}, Do: Refuse}
	again := Fault{Hop: Hop{At: tap.AtCall, When: Before, Function: "shop-notify", N: 2}, Do: Refuse}
	broken := Violation{Rule: RuleExpectation, Says: "there is no email to kim@plant.test", about: "there is no email to kim@plant.test"}
	twice := Violation{Rule: RuleCopies, Says: "the email arrived twice", about: "the email"}
	verdict := &harness.Verdict{Outcome: harness.Broken, Why: broken.Says, Differences: []string{broken.Says}, Trace: &harness.Trace{EventID: "01EVENT", Quiet: true},
		Hops: []harness.Hop{{State: harness.HopOK, Text: "event order/paid accepted"}, {Depth: 1, State: harness.HopBroken, First: true, Text: "no email to kim@plant.test"}}}
	holds := &harness.Verdict{Outcome: harness.Holds, Why: "1 run, 1 email", Trace: &harness.Trace{EventID: "01EVENT", Quiet: true},
		Hops: []harness.Hop{{State: harness.HopOK, Text: "event order/paid accepted"}}}
	after := call
	after.When, after.Do = After, LoseAnswer
	took := jsontime.Duration(time.Second)
	r := &Result{
		Target: "in process", Seed: 7, Took: 3 * time.Second, Hops: []Hop{call.Hop, after.Hop},
		Single: Count{Possible: 3, Ran: 2, Missed: 1}, Further: []Count{{Possible: 9, Ran: 1, Unjudged: 1}, {}},
		NotExplored: []string{"the app's death: it runs in this process"},
		Outcomes: []Outcome{
			{Schedule: Schedule{[]Fault{after}}, Violations: []Violation{broken}, Why: broken.Says, Took: took},
			{Schedule: Schedule{[]Fault{call}}, Why: "1 run, 1 email", Took: took},
			{Schedule: Schedule{[]Fault{{Hop: Hop{At: atStart}, Do: Send, Number: 2}}}, NotRun: "the run never came to the beginning", Took: took},
			{Schedule: Schedule{[]Fault{call, again}}, Violations: []Violation{broken, twice}, Took: took},
			{Schedule: Schedule{[]Fault{call, after}}, NotRun: "nothing contradicts it, but more may happen", Took: took},
		},
	}
	r.Findings = []Finding{
		{Violation: broken, Schedule: r.Outcomes[0].Schedule, Story: r.Outcomes[0].Schedule.String(), Schedules: 2, Verdict: verdict},
		{Violation: twice, Schedule: r.Outcomes[3].Schedule, Story: r.Outcomes[3].Schedule.String(), Schedules: 1, Verdict: holds, Unsure: "it did not show again: everything was as it should be"},
	}
	return r
}

func TestResult_String(t *testing.T) {
	t.Parallel()
	require.Equal(t, strings.TrimSpace(`
explored 3 schedules (2 of 3 single faults; 1 of 9 pairs) in 3s, 3 violations of 2 kinds

1. there is no email to kim@plant.test
   when the answer to call 1 of shop-notify was lost
   2 schedules show it, none of them shorter
     broken: there is no email to kim@plant.test
       ✓ event order/paid accepted
         ✗ no email to kim@plant.test   ← first broken hop

2. the email arrived twice
   when call 1 of shop-notify was refused with 503; then call 2 of shop-notify was refused with 503
   not certain: it did not show again: everything was as it should be
     what happened:
       ✓ event order/paid accepted

not explored:
  - the app's death: it runs in this process
  - 7 of 9 pairs: the limit on schedules, or on time, was reached
  - event 2 came before the others: the run never came to the beginning
  - call 1 of shop-notify was refused with 503; then the answer to call 1 of shop-notify was lost: nothing contradicts it, but more may happen
`), found().String())
}

func TestResult_Summary(t *testing.T) {
	t.Parallel()
	r := &Result{Single: Count{Possible: 1, Ran: 1}, Took: 120 * time.Millisecond}
	require.Equal(t, "explored 1 schedule (all 1 single fault) in 120ms, no violation", r.Summary())
	require.Equal(t, r.Summary(), r.String(), "nothing is left out")
	r.Further = []Count{{Possible: 2, Ran: 2}, {Possible: 3, Ran: 1}, {Possible: 4, Ran: 1}}
	require.Equal(t, "explored 5 schedules (all 1 single fault; all 2 pairs; 1 of 3 triples; 1 of 4 sets of 4 faults) in 120ms, no violation", r.Summary())
	r.Single.Ran = 0
	require.Contains(t, r.String(), "  - 1 of 1 single fault: the exploration ended before\n  - 2 of 3 triples: the limit on schedules, or on time, was reached\n")
	r.Findings = []Finding{{Schedules: 1}}
	require.Contains(t, r.Summary(), ", 1 violation of 1 kind")
}

func TestResult_NamesFewOfManyThatDidNotRun(t *testing.T) {
	t.Parallel()
	r := &Result{}
	for range 7 {
		r.Outcomes = append(r.Outcomes, Outcome{NotRun: "it took too long"})
	}
	require.Contains(t, r.String(), "  - nothing went wrong: it took too long\n  - 2 schedules more, in the JSON")
}

func TestResult_JSON(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(found())
	require.NoError(t, err)
	var got struct {
		Target   string
		Took     string
		Single   Count
		Findings []struct {
			Rule, Says, Story string
			Schedule          Schedule
			Verdict           *harness.Verdict
		}
		Outcomes []struct {
			NotRun string
			Took   string
		}
	}
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, "3s", got.Took)
	require.Equal(t, Count{Possible: 3, Ran: 2, Missed: 1}, got.Single)
	require.Equal(t, "expectation", got.Findings[0].Rule)
	require.Equal(t, found().Findings[0].Schedule, got.Findings[0].Schedule, "a schedule can be read back")
	require.Equal(t, "01EVENT", got.Findings[0].Verdict.Trace.EventID)
	require.Equal(t, "1s", got.Outcomes[0].Took)
	require.Contains(t, string(data), `"schedule":{"faults":[{"at":"call","when":"after","function":"shop-notify","n":1,"do":"lose-answer"}]}`)
}

func TestResult_Report(t *testing.T) {
	t.Parallel()
	r := found()
	twice := Fault{Hop: r.Hops[0], Do: Twice}
	r.Outcomes = append([]Outcome{{Schedule: Schedule{[]Fault{twice}}}}, r.Outcomes...)
	x := r.report()
	require.Equal(t, []string{"the beginning", "before call 1 of shop-notify", "after call 1 of shop-notify"}, x.Hops)
	var kinds, schedules []string
	for _, k := range x.Kinds {
		kinds = append(kinds, k.Name)
	}
	require.Equal(t, []string{"lose-answer", "refuse", "send", "twice"}, kinds, "those that were tried")
	for _, s := range x.Schedules {
		schedules = append(schedules, fmt.Sprintf("%d faults, row %d, column %d, %d violations, %v: %s", s.Faults, s.Hop, s.Kind, len(s.Violations), s.Took, s.Story))
	}
	require.Equal(t, []string{
		"1 faults, row 0, column 2, 0 violations, 1s: event 2 came before the others",
		"1 faults, row 1, column 1, 0 violations, 1s: call 1 of shop-notify was refused with 503",
		"1 faults, row 1, column 3, 0 violations, 0s: call 1 of shop-notify was delivered twice",
		"1 faults, row 2, column 0, 1 violations, 1s: the answer to call 1 of shop-notify was lost",
		"2 faults, row 0, column 0, 2 violations, 1s: call 1 of shop-notify was refused with 503; then call 2 of shop-notify was refused with 503",
		"2 faults, row 0, column 0, 0 violations, 1s: call 1 of shop-notify was refused with 503; then the answer to call 1 of shop-notify was lost",
	}, schedules, "in the sequence of the table, whichever ended first")
	require.Equal(t, 1, x.Schedules[3].Violations[0].Finding)
	require.Equal(t, 2, x.Schedules[4].Violations[1].Finding)
	require.Contains(t, x.NotExplored, "7 of 9 pairs: the limit on schedules, or on time, was reached")
	require.Equal(t, found().Summary(), x.Summary)

	var page, junit strings.Builder
	require.NoError(t, found().WriteHTML(&page))
	require.Contains(t, page.String(), "2 kinds of violations")
	require.NoError(t, found().WriteJUnit(&junit))
	var suites struct {
		Tests int `xml:"tests,attr"`
	}
	require.NoError(t, xml.Unmarshal([]byte(junit.String()), &suites))
	require.Equal(t, 5, suites.Tests)
}

func TestResult_KeepsTheShortestScheduleOfAKind(t *testing.T) {
	t.Parallel()
	r := &Result{}
	fault := func(n int) Fault { return Fault{Hop: Hop{At: tap.AtMAIL, When: Before, N: n}, Do: Refuse} }
	record := func(about string, missed bool, faults ...Fault) {
		o := outcome{&execution{schedule: Schedule{faults}}, &judgement{violations: []Violation{{RuleExpectation, about, about}}}}
		if missed {
			o.missed = faults[:1]
		}
		r.record(o)
	}
	record("no email after 20ms", false, fault(1), fault(2))
	record("no email after 30ms", false, fault(3))
	record("no email after 40ms", false, fault(1), fault(3))
	record("no email after 50ms", true, fault(1))
	record("another", false, fault(1), fault(2))
	require.Len(t, r.Outcomes, 5)
	require.Equal(t, "the run never came to MAIL", r.Outcomes[3].NotRun)
	require.Len(t, r.Findings, 2, "numbers make no other kind")
	require.Equal(t, 3, r.Findings[0].Schedules, "one whose fault never acted shows nothing")
	require.Equal(t, Schedule{[]Fault{fault(3)}}, r.Findings[0].Schedule)
	require.Equal(t, "no email after 30ms", r.Findings[0].Says)
	require.Equal(t, "MAIL, time 3 was answered with 451", r.Findings[0].Story)
}

// A fakeEnv only notes in which sequence events come.
type fakeEnv struct {
	env  // what is not used
	set  *tap.Set
	sent []string
}

func (f *fakeEnv) begin(context.Context) error { f.sent = nil; return nil }
func (*fakeEnv) can() abilities                { return abilities{without: []string{"everything else"}} }
func (f *fakeEnv) taps() *tap.Set              { return f.set }
func (*fakeEnv) config() harness.Env           { return harness.Env{} }
func (*fakeEnv) runHeader() string             { return harness.DefaultRunHeader }
func (*fakeEnv) settle(context.Context) error  { return nil }
func (*fakeEnv) run(context.Context) error     { return nil }
func (*fakeEnv) close(context.Context) error   { return nil }

func (f *fakeEnv) send(_ context.Context, e harness.Event) (string, error) {
	f.sent = append(f.sent, e.Name)
	return "event " + e.Name, nil
}

func (f *fakeEnv) trace(_ context.Context, id string, _ []string) (*harness.Trace, error) {
	t := done(harness.StatusCompleted, nil).trace
	t.EventID = id
	return t, nil
}

func (*fakeEnv) mail(context.Context) ([]*harness.Message, error) { return nil, nil }

// sequence makes an explorer of three events, a, b and c, whose invariant is asked for the sequence in which they came.
func sequence(t *testing.T, invariant func(sent string) error) (*explorer, *fakeEnv) {
	t.Helper()
	set := tap.New(tap.Options{})
	t.Cleanup(func() { require.NoError(t, set.Close(context.WithoutCancel(t.Context()))) })
	fake := &fakeEnv{set: set}
	o := wanted()
	o.Expect.Mail = nil
	o.Send = []harness.Event{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	o.Invariant = func(context.Context, harness.Env) error { return invariant(strings.Join(fake.sent, "")) }
	o, err := o.withDefaults()
	require.NoError(t, err)
	o.Parallel = 1
	target := Target{Name: "a fake", open: func(context.Context) (env, error) { return fake, nil }}
	e := &explorer{target: target, o: o, result: &Result{}}
	require.NoError(t, e.runBase(t.Context(), fake))
	return e, fake
}

// first sends an event before the others.
func first(number int) Fault { return Fault{Hop: Hop{At: atStart}, Do: Send, Number: number} }

func TestConfirm_LeavesOutWhatIsNotNeeded(t *testing.T) {
	t.Parallel()
	e, fake := sequence(t, func(sent string) error {
		if strings.Index(sent, "c") < strings.Index(sent, "a") {
			return fmt.Errorf("c came before a, in place %d", 1+strings.Index(sent, "c"))
		}
		return nil
	})
	o, err := e.try(t.Context(), fake, Schedule{[]Fault{first(2), first(3)}})
	require.NoError(t, err)
	require.Equal(t, []string{"b", "c", "a"}, fake.sent)
	e.result.record(o)
	require.Len(t, e.result.Findings, 1)

	f, err := e.confirm(t.Context(), fake, e.result.Findings[0], o.schedule)
	require.NoError(t, err)
	require.Equal(t, Schedule{[]Fault{first(3)}}, f.Schedule)
	require.Equal(t, "event 3 came before the others", f.Story)
	require.Equal(t, "c came before a, in place 1", f.Says, "the finding says what its own schedule shows")
	require.Empty(t, f.Unsure)
}

func TestConfirm_SaysWhatIsNotCertain(t *testing.T) {
	t.Parallel()
	for want, says := range map[string]error{
		"it did not show again: everything was as it should be": nil,
		"it did not show again: something else":                 errors.New("something else"),
	} {
		asked := 0
		e, fake := sequence(t, func(string) error {
			if asked++; asked == 2 {
				return errors.New("once")
			} else if asked > 2 {
				return says
			}
			return nil
		})
		o, err := e.try(t.Context(), fake, Schedule{[]Fault{first(2)}})
		require.NoError(t, err)
		e.result.record(o)
		f, err := e.confirm(t.Context(), fake, e.result.Findings[0], o.schedule)
		require.NoError(t, err)
		require.Equal(t, want, f.Unsure)
		require.Equal(t, "once", f.Says)
	}
}

func TestConfirm_FaultThatNoLongerActs(t *testing.T) {
	t.Parallel()
	e, fake := sequence(t, func(string) error { return nil })
	mail := Fault{Hop: Hop{At: tap.AtMAIL, When: Before, N: 1}, Do: Refuse}
	f, err := e.confirm(t.Context(), fake, Finding{Violation: Violation{Rule: RuleInvariant, about: "once"}}, Schedule{[]Fault{mail}})
	require.NoError(t, err)
	require.Equal(t, "it did not show again: the run never came to MAIL", f.Unsure)
}

func TestConfirm_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	e, fake := sequence(t, func(string) error { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	e.o.Setup = func(ctx context.Context, _ harness.Env) error { cancel(); return ctx.Err() }
	_, err := e.confirm(ctx, fake, Finding{}, Schedule{[]Fault{first(2), first(3)}})
	require.ErrorIs(t, err, context.Canceled)
}

// A schedule that races with something may show a finding once in a while. One that always shows it tells it.
func TestExplore_TellsAFindingByAScheduleThatShowsItAgain(t *testing.T) {
	t.Parallel()
	asked := map[string]int{}
	e, _ := sequence(t, func(sent string) error {
		if asked[sent]++; sent == "cab" || sent == "bac" && asked[sent] == 1 {
			return errors.New("a must come first")
		}
		return nil
	})
	r, err := Explore(t.Context(), e.target, e.o)
	require.NoError(t, err)
	require.Len(t, r.Findings, 1)
	require.Equal(t, 2, r.Findings[0].Schedules)
	require.Equal(t, "event 3 came before the others", r.Findings[0].Story)
	require.Empty(t, r.Findings[0].Unsure)
}

func TestExplore_RunsEverySequenceOfEvents(t *testing.T) {
	t.Parallel()
	e, _ := sequence(t, func(sent string) error {
		if sent == "cab" {
			return errors.New("c must not come first")
		}
		return nil
	})
	var progress []Progress
	e.o.Progress = func(p Progress) { progress = append(progress, p) }
	r, err := Explore(t.Context(), e.target, e.o)
	require.NoError(t, err)
	require.Equal(t, Count{Possible: 2, Ran: 2}, r.Single)
	require.Len(t, r.Findings, 1)
	require.Equal(t, "event 3 came before the others", r.Findings[0].Story)
	require.Equal(t, []string{"everything else"}, r.NotExplored)
	require.Len(t, progress, 1+len(r.Outcomes), "once they are planned, and after each")
	require.Equal(t, 1, slices.MaxFunc(progress, func(a, b Progress) int { return a.Ran - b.Ran }).Findings)
}

func TestExplore_NothingToExploreWhereItDoesNotHoldWithoutFaults(t *testing.T) {
	t.Parallel()
	e, _ := sequence(t, func(string) error { return nil })
	e.o.Invariant = func(context.Context, harness.Env) error { return errors.New("two charges") }
	_, err := Explore(t.Context(), e.target, e.o)
	base, ok := errors.AsType[*BaseError](err)
	require.True(t, ok)
	require.Equal(t, RuleInvariant, base.Violations[0].Rule)
	require.ErrorContains(t, err, "the run without faults is not as expected, so there is nothing to explore:\ntwo charges\nwhat happened:\n")
}
