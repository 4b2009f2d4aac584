package judge_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
)

// What a server does not tell, or no mailbox shows, makes no verdict wrong: an expectation about it cannot be judged.
func TestVerdict_OfWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	const noSteps, noMail, noList = "it shows no traces", "no mailbox is named", "it lists none"
	event := &harness.TraceEvent{Name: "a/b"}
	run := harness.TraceRun{ID: "r", Function: "f", Status: harness.StatusCompleted, Output: json.RawMessage("1"),
		StepsUnknown: noSteps}
	running := run
	running.Status = harness.StatusRunning
	done := harness.Trace{Event: event, Functions: []harness.TraceFunction{{ID: "f"}}, Runs: []harness.TraceRun{run},
		MailUnknown: noMail, Unquiet: noSteps}
	for name, c := range map[string]struct {
		trace       harness.Trace
		expectation string
		want        harness.Outcome
		why         string
	}{
		"the run alone": {done, `{"runs":[{"function":"f","status":"COMPLETED","output":1}]}`,
			harness.Holds, "1 run"},
		"another output": {done, `{"runs":[{"function":"f","output":2}]}`, harness.Broken, "output"},
		"its steps": {done, `{"runs":[{"function":"f","steps":[{"id":"s","attempts":1}]}]}`,
			harness.CannotBeJudged, "the steps of f are not known: " + noSteps},
		"its steps, and another status": {done, `{"runs":[{"function":"f","status":"FAILED","steps":[{"id":"s"}]}]}`,
			harness.Broken, "status is COMPLETED"},
		"an email": {done, `{"mail":[{"to":"kim@plant.test"}]}`, harness.CannotBeJudged,
			"emails cannot be read: " + noMail},
		"no email": {done, `{"mail":[{"to":"kim@plant.test","absent":true}]}`,
			harness.CannotBeJudged, "emails cannot be read"},
		"no other mail": {done, `{"noOtherMail":true}`, harness.CannotBeJudged, "emails cannot be read"},
		"no other runs": {done, `{"runs":[{"function":"f"}],"noOtherRuns":true}`, harness.CannotBeJudged,
			"more may still happen: " + noSteps},
		"an email, and a run that is missing": {done, `{"runs":[{"function":"g"}],"mail":[{"to":"kim@plant.test"}]}`,
			harness.Broken, "there is no run of g"},
		"which functions are subscribed": {harness.Trace{Event: event, FunctionsUnknown: noList, Unquiet: noList},
			`{"runs":[{"function":"f"}]}`, harness.Broken, "there is no run of f"},
		"whether there is any": {harness.Trace{Event: event, FunctionsUnknown: noList, Unquiet: noList},
			`{"noOtherRuns":true}`, harness.CannotBeJudged, "more may still happen: " + noList},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := harness.ParseExpectation([]byte(c.expectation))
			require.NoError(t, err)
			v, err := judge.Judge(e, &c.trace, judge.Options{})
			require.NoError(t, err)
			require.Equal(t, c.want, v.Outcome, "%s", v)
			require.Contains(t, v.Why, c.why)
		})
	}
	// As long as something else may still become true, the verdict waits.
	e, err := harness.ParseExpectation([]byte(`{"runs":[{"function":"f","status":"COMPLETED"}],"mail":[{"to":"kim@plant.test"}]}`))
	require.NoError(t, err)
	require.False(t, judge.Compare(e, &harness.Trace{MailUnknown: noMail}, judge.Options{}).Doubtful(),
		"the event is not shown yet")
	waiting := done
	waiting.Runs = []harness.TraceRun{running}
	require.False(t, judge.Compare(e, &waiting, judge.Options{}).Doubtful())
	require.True(t, judge.Compare(e, &done, judge.Options{}).Doubtful())
}
