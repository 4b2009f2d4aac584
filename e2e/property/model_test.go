package property

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// someFacts are what an app did: a step of f0 was tried twice, f1 may have been cancelled, and two emails left.
var someFacts = facts{
	runs: []runFact{
		{
			function: "f0", statuses: []harness.Status{harness.StatusCompleted},
			steps: []stepFact{{id: "x", occurrence: 1, status: harness.StatusCompleted, tries: 2}},
		},
		{function: "f1", statuses: []harness.Status{harness.StatusCompleted, harness.StatusCancelled}, unknown: true},
	},
	mails: []mailFact{{"kim@plant.test", "Hello"}, {"kim@plant.test", "Bye"}},
}

func TestTruth_SaysWhatAnExpectationMeans(t *testing.T) {
	t.Parallel()
	f0 := harness.RunExpectation{Function: "f0"}
	with := func(s ...harness.StepExpectation) harness.Expectation {
		return harness.Expectation{Runs: []harness.RunExpectation{{Function: "f0", Steps: s}}}
	}
	mail := func(m ...harness.MailExpectation) harness.Expectation { return harness.Expectation{Mail: m} }
	kim := harness.MailExpectation{To: "kim@plant.test"}
	for _, c := range []struct {
		e    harness.Expectation
		want truth
	}{
		{someFacts.exact(), isTrue},
		{harness.Expectation{Runs: []harness.RunExpectation{f0}}, isTrue},
		{harness.Expectation{Runs: []harness.RunExpectation{f0}, NoOtherRuns: true}, isFalse},
		{harness.Expectation{Runs: []harness.RunExpectation{f0, f0}}, isFalse},
		{harness.Expectation{Runs: []harness.RunExpectation{{Function: "f0", Status: harness.StatusFailed}}}, isFalse},
		{harness.Expectation{Runs: []harness.RunExpectation{{Function: "f1", Status: harness.StatusCancelled}}}, unknown},
		{harness.Expectation{Runs: []harness.RunExpectation{{Function: "f1", Status: harness.StatusFailed}}}, isFalse},
		{with(harness.StepExpectation{ID: "x", Occurrence: 1, Attempts: 2}), isTrue},
		{with(harness.StepExpectation{ID: "x", Attempts: 1}), isFalse},
		{with(harness.StepExpectation{ID: "x", Occurrence: 2}), isFalse},
		{with(harness.StepExpectation{ID: "x"}, harness.StepExpectation{ID: "x"}), isFalse},
		{mail(kim), isTrue},
		{mail(kim, kim), isTrue},
		{mail(kim, kim, kim), isFalse},
		{mail(harness.MailExpectation{To: "kim@plant.test", Copies: 2}), isTrue},
		{mail(harness.MailExpectation{To: "kim@plant.test", Copies: 1}), isFalse},
		{mail(harness.MailExpectation{To: "kim@plant.test", Absent: true}), isFalse},
		{mail(harness.MailExpectation{To: "lee@plant.test", Absent: true}), isTrue},
		{harness.Expectation{Mail: []harness.MailExpectation{kim}, NoOtherMail: true}, isFalse},
	} {
		require.Equal(t, c.want, someFacts.truth(c.e), "%+v", c.e)
	}
}

func TestCompare_FindsWrongVerdict(t *testing.T) {
	t.Parallel()
	p := &player{app: App{Functions: []Function{{On: rootEvent}}}}
	no := harness.Expectation{NoOtherRuns: true}
	says := func(e harness.Expectation, o harness.Outcome, why string) error {
		return p.compare(someFacts, answer{e, &harness.Verdict{Outcome: o, Why: why}, "at once"})
	}
	require.NoError(t, says(no, harness.Broken, ""))
	require.ErrorContains(t, says(no, harness.Holds, ""), `asked at once, of what is false:
{"noOtherRuns":true}
the verdict says:
holds`)
	require.ErrorContains(t, says(someFacts.exact(), harness.Broken, "no"), "of what is true")
	require.ErrorContains(t, says(no, harness.CannotBeJudged, "no reason"), "cannot be judged: no reason")
	unsigned := "1 email has arrived since the event without a header that names a run of this server"
	require.Error(t, says(no, harness.CannotBeJudged, unsigned), "no email of this app is without the header")
	p.app.Functions[0].Body = []Op{{Do: doMail, Unsigned: true}}
	require.NoError(t, says(no, harness.CannotBeJudged, unsigned))
}

func TestFacts_RefusesAccountThatCannotBe(t *testing.T) {
	t.Parallel()
	account := func() *player {
		p := &player{app: App{Functions: []Function{{On: rootEvent}}}, account: account{runs: map[string]*ranRun{}}}
		p.events = []*sentEvent{{name: rootEvent, by: "root", dataID: "a", id: "1"}}
		return p
	}
	p := account()
	_, _, err := p.facts("root")
	require.EqualError(t, err, "the app was never called for f0 of the event ev/0 1")
	r := &ranRun{id: "run", eventKey: "1", by: "root"}
	p.runs["run"], p.order = r, []*ranRun{r}
	_, _, err = p.facts("root")
	require.EqualError(t, err, "the run run of f0 never ended")
	r.returned = true
	f, _, err := p.facts("root")
	require.NoError(t, err)
	require.Equal(t, facts{runs: []runFact{{function: "f0", statuses: []harness.Status{harness.StatusCompleted}}}}, f)
}
