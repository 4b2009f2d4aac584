package explore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// emailed is an email as it arrived, from one run.
func emailed(id, messageID string) *harness.Message {
	return &harness.Message{ID: id, MessageID: messageID, Subject: "Hello", Envelope: harness.Envelope{From: "a@plant.test", To: []string{"kim@plant.test"}}}
}

// done is an execution whose run has ended and sent emails.
func done(status harness.Status, faults []Fault, mail ...*harness.Message) *execution {
	x := &execution{schedule: Schedule{faults}, mail: mail, trace: &harness.Trace{
		EventID: "01EVENT", Event: &harness.TraceEvent{Name: "order/paid", Received: noon}, Quiet: true, Evidence: []string{"its run has ended"},
		Functions: []harness.TraceFunction{{ID: "notify", App: "shop"}},
		Runs: []harness.TraceRun{{ID: "run", Function: "notify", App: "shop", EventID: "01EVENT", Status: status,
			Steps: []harness.TraceStep{{ID: "send", Op: "RUN", Status: status, Attempts: []harness.TraceAttempt{{Status: harness.StatusFailed}, {Status: status}}}}}},
	}}
	for _, m := range mail {
		x.trace.Mail = append(x.trace.Mail, harness.TraceMail{RunID: "run", Message: m})
	}
	return x
}

// wanted is one completed run, whose step was tried once, and one email.
func wanted() Options {
	return Options{AllowCopies: CopiesUnrecorded, AllowFailed: FailedPermanent, Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{{Function: "notify", Status: harness.StatusCompleted, Steps: []harness.StepExpectation{{ID: "send", Attempts: 1}}}},
		Mail:        []harness.MailExpectation{{To: "kim@plant.test", Copies: 1}},
		NoOtherRuns: true, NoOtherMail: true,
	}}
}

// rulesOf judges an execution against one in which one email arrived. It returns which rules are violated.
func rulesOf(t *testing.T, x *execution, o Options) (rules []Rule) {
	t.Helper()
	base := done(harness.StatusCompleted, nil, emailed("m1", "1@plant.test"))
	j, err := judged(x, base, &o)
	require.NoError(t, err)
	require.Empty(t, j.unjudged)
	require.Same(t, x.trace, j.verdict.Trace, "the trace is shown with everything that happened")
	for _, v := range j.violations {
		require.NotEmpty(t, v.Says)
		rules = append(rules, v.Rule)
	}
	return rules
}

var (
	lost      = []Fault{{Hop: Hop{At: tap.AtStep, When: After, Function: "shop-notify", Step: "send", N: 1}, Do: LoseAnswer}}
	permanent = []Fault{{Hop: Hop{At: tap.AtRCPT, When: Before, To: "kim@plant.test", N: 1}, Do: RefuseForGood}}
	restarted = []Fault{{Hop: lost[0].Hop, Do: RestartInngest}}
)

func TestJudged_Holds(t *testing.T) {
	t.Parallel()
	x := done(harness.StatusCompleted, lost, emailed("m1", "1@plant.test"))
	require.Empty(t, rulesOf(t, x, wanted()), "the step was tried twice, which every fault may cause")
	require.Equal(t, 1, wanted().Expect.Runs[0].Steps[0].Attempts)
	o := wanted()
	loosened(o.Expect)
	require.Equal(t, wanted(), o, "the caller's expectation stays as it is")
}

func TestJudged_WhileMoreMayHappen(t *testing.T) {
	t.Parallel()
	x := done(harness.StatusRunning, lost)
	x.trace.Quiet, x.trace.Unquiet = false, "the run sleeps"
	o := wanted()
	j, err := judged(x, nil, &o)
	require.NoError(t, err)
	require.Empty(t, j.violations)
	require.Equal(t, "run of notify: status is RUNNING, want COMPLETED, and more may happen: the run sleeps", j.unjudged)

	x.trace.Runs[0].Status = harness.StatusFailed
	j, err = judged(x, nil, &o)
	require.NoError(t, err)
	require.Len(t, j.violations, 1, "what more time cannot change is violated")

	x = done(harness.StatusCompleted, lost, emailed("m1", "1@plant.test"))
	x.trace.Quiet, x.trace.Unquiet = false, "a call is open"
	j, err = judged(x, nil, &o)
	require.NoError(t, err)
	require.Contains(t, j.unjudged, "a call is open", "there may yet be another email")
}

func TestJudged_Failures(t *testing.T) {
	t.Parallel()
	last := lost
	for range 3 {
		last = append(last, lost[0])
	}
	tried := func(most int) []tap.Exchange { return []tap.Exchange{{Call: &tap.Call{MaxAttempts: most}}} }
	for name, c := range map[string]struct {
		status harness.Status
		faults []Fault
		allow  Failed
		calls  []tap.Exchange
		want   []Rule
	}{
		"a run failed after a fault that passes":       {harness.StatusFailed, lost, FailedPermanent, tried(5), []Rule{RuleExpectation}},
		"a run failed after a permanent fault":         {harness.StatusFailed, permanent, FailedPermanent, tried(5), nil},
		"a run failed after Inngest lost its state":    {harness.StatusFailed, restarted, FailedPermanent, tried(5), nil},
		"no run ended after Inngest lost its state":    {harness.StatusCancelled, restarted, FailedNever, tried(5), nil},
		"a run failed after as many faults as it can":  {harness.StatusFailed, last, FailedPermanent, tried(4), nil},
		"a run failed after one fault less":            {harness.StatusFailed, last[:3], FailedPermanent, tried(4), []Rule{RuleExpectation}},
		"a run that is never tried again failed":       {harness.StatusFailed, lost, FailedPermanent, tried(1), nil},
		"any run may fail":                             {harness.StatusFailed, lost, FailedAny, nil, nil},
		"no run may fail, whatever happens":            {harness.StatusFailed, permanent, FailedNever, nil, []Rule{RuleExpectation}},
		"no email, and no run failed, where one might": {harness.StatusCompleted, permanent, FailedPermanent, nil, []Rule{RuleHidden}},
		"no email, and no run failed, where none may":  {harness.StatusCompleted, lost, FailedPermanent, nil, []Rule{RuleExpectation}},
		"no email, where any run may fail":             {harness.StatusCompleted, lost, FailedAny, nil, []Rule{RuleHidden}},
	} {
		x, o := done(c.status, c.faults), wanted()
		x.exchanges, o.AllowFailed = c.calls, c.allow
		require.Equal(t, c.want, rulesOf(t, x, o), name)
	}
}

func TestJudged_Invariant(t *testing.T) {
	t.Parallel()
	x := done(harness.StatusCompleted, lost, emailed("m1", "1@plant.test"))
	x.violated = errors.New("two charges\nof one order")
	require.Equal(t, []Rule{RuleInvariant}, rulesOf(t, x, wanted()))
	x = done(harness.StatusFailed, permanent)
	x.violated = errors.New("half a charge")
	require.Equal(t, []Rule{RuleInvariant}, rulesOf(t, x, wanted()), "it holds also where a run may fail")
}

func TestJudged_Copies(t *testing.T) {
	t.Parallel()
	one, again, other := emailed("m1", "1@plant.test"), emailed("m2", "1@plant.test"), emailed("m3", "2@plant.test")
	for name, c := range map[string]struct {
		mail  []*harness.Message
		allow Copies
		want  []Rule
	}{
		"a copy":                         {[]*harness.Message{one, again}, CopiesUnrecorded, nil},
		"a copy where none is allowed":   {[]*harness.Message{one, again}, CopiesNone, []Rule{RuleCopies}},
		"another Message-ID":             {[]*harness.Message{one, other}, CopiesUnrecorded, []Rule{RuleIdentity}},
		"another, where none is allowed": {[]*harness.Message{one, other}, CopiesNone, []Rule{RuleIdentity}},
		"another, where any is allowed":  {[]*harness.Message{one, again, other}, CopiesAny, nil},
	} {
		o := wanted()
		o.AllowCopies = c.allow
		require.Equal(t, c.want, rulesOf(t, done(harness.StatusCompleted, lost, c.mail...), o), name)
	}

	to := emailed("m4", "3@plant.test")
	to.Envelope.To = []string{"lee@plant.test"}
	require.Equal(t, []Rule{RuleExpectation}, rulesOf(t, done(harness.StatusCompleted, lost, one, to), wanted()), "it is no copy: it has another recipient")
	subject := emailed("m5", "4@plant.test")
	subject.Subject = "Goodbye"
	require.Equal(t, []Rule{RuleExpectation}, rulesOf(t, done(harness.StatusCompleted, lost, one, subject), wanted()), "it says something else")
}

func TestJudged_CopiesThatAreThereWithoutFaults(t *testing.T) {
	t.Parallel()
	o := wanted()
	o.AllowCopies, o.Expect.Mail[0].Copies = CopiesNone, 2
	two := []*harness.Message{emailed("m1", "1@plant.test"), emailed("m2", "2@plant.test")}
	base := done(harness.StatusCompleted, nil, two...)
	for _, c := range []struct {
		mail []*harness.Message
		want int
	}{{two, 0}, {append(two, emailed("m3", "2@plant.test")), 1}} {
		j, err := judged(done(harness.StatusCompleted, lost, c.mail...), base, &o)
		require.NoError(t, err)
		require.Len(t, j.violations, c.want)
		require.Equal(t, harness.Holds, j.verdict.Outcome, "the copy too many is judged apart")
	}
}

// sending is a call that sends an email, which is accepted at 20 ms.
func sending(messageID string, change func(call, delivery *tap.Exchange)) []tap.Exchange {
	call := tap.Exchange{ID: 1, Began: at(0), Ended: at(40), HTTP: &tap.HTTP{}, Call: &tap.Call{RunID: "run", Status: 206}}
	delivery := tap.Exchange{ID: 2, Began: at(10), Ended: at(21), Mail: &harness.MailTransaction{
		RunID: "run", MessageID: messageID, To: []string{"Kim@plant.test"}, Accepted: true, AcceptedAt: at(20), Reported: true,
	}}
	if change != nil {
		change(&call, &delivery)
	}
	return []tap.Exchange{call, delivery}
}

// saves is a checkpoint of the call with ID 1, of a step that ended at that time.
func saves(from, ended int, change func(*tap.Exchange)) tap.Exchange {
	x := tap.Exchange{ID: 3, Began: at(from), Ended: at(from + 5), HTTP: &tap.HTTP{Status: 200}, Checkpoint: &tap.Checkpoint{
		Call: 1, RunID: "run", Steps: []tap.Op{{Op: sdk.OpStepRun, Ended: at(ended)}},
	}}
	if change != nil {
		change(&x)
	}
	return x
}

func TestJudged_CopiesOfWhatWasRecorded(t *testing.T) {
	t.Parallel()
	answered := func(call, _ *tap.Exchange) { call.HTTP.Status = 206 }
	for name, c := range map[string]struct {
		first    []tap.Exchange
		recorded bool
	}{
		"the call was answered":        {sending("1@plant.test", answered), true},
		"the answer was lost":          {sending("1@plant.test", nil), false},
		"a step was saved afterwards":  {append(sending("1@plant.test", nil), saves(25, 22, nil)), true},
		"a step of no known end":       {append(sending("1@plant.test", nil), saves(25, 0, func(x *tap.Exchange) { x.Checkpoint.Steps[0].Ended = time.Time{} })), true},
		"an earlier step was saved":    {append(sending("1@plant.test", nil), saves(25, 5, nil)), false},
		"a step was saved before":      {append(sending("1@plant.test", nil), saves(15, 22, nil)), false},
		"another call saved a step":    {append(sending("1@plant.test", nil), saves(25, 22, func(x *tap.Exchange) { x.Checkpoint.Call = 7 })), false},
		"the checkpoint was refused":   {append(sending("1@plant.test", nil), saves(25, 22, func(x *tap.Exchange) { x.HTTP.Status = 503 })), false},
		"the checkpoint is under way":  {append(sending("1@plant.test", nil), saves(25, 22, func(x *tap.Exchange) { x.Ended = time.Time{} })), false},
		"the app was not told":         {sending("1@plant.test", func(call, d *tap.Exchange) { call.HTTP.Status, d.Mail.Reported = 206, false }), false},
		"it was not accepted":          {sending("1@plant.test", func(call, d *tap.Exchange) { call.HTTP.Status, d.Mail.Accepted = 206, false }), false},
		"the call came twice":          {sending("1@plant.test", func(call, _ *tap.Exchange) { call.HTTP.Status, call.Call.Repeated = 206, true }), false},
		"the call had ended before":    {sending("1@plant.test", func(call, _ *tap.Exchange) { call.HTTP.Status, call.Ended = 206, at(19) }), false},
		"another run was called":       {sending("1@plant.test", func(call, _ *tap.Exchange) { call.HTTP.Status, call.Call.RunID = 206, "other" }), false},
		"the email names no run":       {sending("1@plant.test", func(call, d *tap.Exchange) { call.HTTP.Status, d.Mail.RunID = 206, "" }), true},
		"another email":                {sending("2@plant.test", answered), false},
		"the call was given up before": {append(sending("1@plant.test", func(call, _ *tap.Exchange) { call.Call.GivenUp = at(10) }), saves(25, 22, nil)), false},
		"the call was given up after":  {append(sending("1@plant.test", func(call, _ *tap.Exchange) { call.Call.GivenUp = at(30) }), saves(25, 22, nil)), true},
	} {
		second := sending("1@plant.test", answered)
		for i := range second { // later, and recorded
			second[i].ID += 10
			second[i].Began, second[i].Ended = second[i].Began.Add(100*time.Millisecond), second[i].Ended.Add(100*time.Millisecond)
		}
		second[1].Mail.AcceptedAt = at(120)
		x := done(harness.StatusCompleted, lost, emailed("m1", "1@plant.test"), emailed("m2", "1@plant.test"))
		x.exchanges = append(c.first, second...)
		var want []Rule
		if c.recorded {
			want = []Rule{RuleCopies}
		}
		require.Equal(t, want, rulesOf(t, x, wanted()), name)
		x.schedule = Schedule{restarted}
		require.Empty(t, rulesOf(t, x, wanted()), "%s: Inngest has lost what was recorded", name)
	}
}

func TestSavedAfter_NotWhereTheSenderIsNotKnown(t *testing.T) {
	t.Parallel()
	x := &execution{exchanges: sending("1@plant.test", func(call, d *tap.Exchange) { call.HTTP.Status, d.Mail.RunID = 206, "" })}
	require.True(t, x.savedAfter(x.exchanges[1]))
	other := x.exchanges[0]
	other.ID, other.Ended = 4, time.Time{} // it is under way
	x.exchanges = append(x.exchanges, other)
	require.False(t, x.savedAfter(x.exchanges[1]), "two calls are under way, and the email names no run")
}

func TestViolation_KindLeavesOutWhatVaries(t *testing.T) {
	t.Parallel()
	of := func(about string) string { return Violation{Rule: RuleExpectation, about: about}.kind() }
	require.Equal(t, of("run 01KC000000000000000000000A failed after 1.5s"), of("run 01KC000000000000000000000B failed after 20ms"))
	require.Equal(t, of("order deadbeef01 has 2 charges"), of("order 00112233aa has 3 charges"))
	require.Equal(t, of("voucher 5f0c2a44-9c1e-4d0b-8a55-0123456789ab"), of("voucher 00000000-ffff-4d0b-8a55-ba9876543210"))
	require.NotEqual(t, of("there is no email to kim@plant.test"), of("there is no email to lee@plant.test"))
	require.NotEqual(t, Violation{Rule: RuleCopies}.kind(), Violation{Rule: RuleIdentity}.kind())
}

// Emails that look the same and are not copies: the run without faults sends both, or different runs do.
func TestJudged_EmailsThatAreNoCopies(t *testing.T) {
	t.Parallel()
	o := wanted()
	o.Expect.Mail[0].Copies = 2
	both := []*harness.Message{emailed("m1", "1@plant.test"), emailed("m2", "2@plant.test")}
	base := done(harness.StatusCompleted, nil, both...)
	j, err := judged(base, nil, &o)
	require.NoError(t, err)
	require.Empty(t, j.violations)
	require.Equal(t, harness.Holds, j.verdict.Outcome)
	copied := []*harness.Message{both[0], emailed("m3", "1@plant.test"), both[1]}
	j, err = judged(done(harness.StatusCompleted, lost, copied...), base, &o)
	require.NoError(t, err)
	require.Empty(t, j.violations, "the copy is the spare one, and not the one that came last")
	require.Equal(t, harness.Holds, j.verdict.Outcome)

	notice := func(id, run string) *harness.Message {
		m := emailed(id, id+"@plant.test")
		m.Subject, m.Headers = "A run has failed", []harness.Header{{Name: harness.DefaultRunHeader, Value: run}}
		return m
	}
	none := done(harness.StatusCompleted, nil, emailed("m1", "1@plant.test"))
	for runs, want := range map[string]int{"A B": 0, "A A": 1} {
		a, b, _ := strings.Cut(runs, " ")
		x := done(harness.StatusCompleted, lost, emailed("m1", "1@plant.test"), notice("n1", a), notice("n2", b))
		x.runHeader = harness.DefaultRunHeader
		violations := 0
		for _, group := range x.copies(none) {
			v, _ := x.judgeCopies(group, none, CopiesUnrecorded)
			violations += len(v)
		}
		require.Equal(t, want, violations, runs)
	}
}

// A time or a number in the subject does not make an email another one.
func TestJudged_CopiesWhoseSubjectVaries(t *testing.T) {
	t.Parallel()
	one, two := emailed("m1", "1@plant.test"), emailed("m2", "2@plant.test")
	one.Subject, two.Subject = "Report of 10:15", "Report of 10:16"
	require.True(t, same(one, two))
}
