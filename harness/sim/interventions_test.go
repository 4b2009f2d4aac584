package sim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

const declined = `{
	"replace": [
		{"function": "shop-ship", "step": "print-label", "outcomes": [{"error": "no paper", "retryAfter": "3d"}, {"value": 9007199254740993}]},
		{"step": "wait-for-pickup", "outcomes": [{"value": null}]}
	],
	"faults": [{"step": "ship", "late": "2h", "times": -1}]
}`

func TestParseInterventions(t *testing.T) {
	t.Parallel()
	read, err := sim.ParseInterventions([]byte(declined))
	require.NoError(t, err)
	want := sim.Interventions{
		Replace: []sim.Replacement{
			{Function: "shop-ship", Step: "print-label", Outcomes: []sim.Outcome{
				{Err: "no paper", RetryAfter: 3 * 24 * time.Hour}, {Value: json.RawMessage("9007199254740993")},
			}},
			{Step: "wait-for-pickup", Outcomes: []sim.Outcome{{}}},
		},
		Faults: []sim.Fault{{Step: "ship", Late: 2 * time.Hour, Times: -1}},
	}
	require.Equal(t, want, read)
	written, err := json.Marshal(read)
	require.NoError(t, err)
	again, err := sim.ParseInterventions(written)
	require.NoError(t, err)
	require.Equal(t, want, again)

	list, err := sim.ParseInterventions([]byte(`[{"step": "ship", "outcomes": []}]`))
	require.NoError(t, err)
	require.Equal(t, []sim.Replacement{{Step: "ship", Outcomes: []sim.Outcome{}}}, list.Replace)
}

func TestParseInterventions_RejectsWhatHasNoEffect(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{}`:                        `there is nothing in it: want {"replace": `,
		`{"replaced": []}`:          `unknown field "replaced"`,
		`[{"outcomes": []}]`:        `a replacement names its step`,
		`{"removeStubs": [""]}`:     `removeStubs has an empty id`,
		`{"faults": []} {}`:         `there is more behind the JSON value`,
		`{"faults": [{"step": 1}]}`: `step is number, want a text`,
		`{"faults": [{}]}`:          `fault 1: give one of "lose": true, "twice": true and "late": a duration`,
		`{"faults": [{"lose": true, "late": "1s"}]}`:                                         `fault 1: give one of`,
		`[{"step": "s", "outcomes": [{"valu": 1}]}]`:                                         `unknown field "[0].outcomes[0].valu"`,
		`[{"step": "s", "outcomes": [{"value": 1, "error": "no"}]}]`:                         `step s: outcome 1 has a value and an error: leave out one of them`,
		`[{"step": "s", "outcomes": [{"error": ""}]}]`:                                       `[0].outcomes[0]: an outcome has neither a value, which may be null, nor an error`,
		`[{"step": "s", "outcomes": [{}]}]`:                                                  `[0].outcomes[0]: an outcome has neither a value`,
		`[{"step": "s", "outcomes": [{"value": 1, "noRetry": true}]}]`:                       `step s: outcome 1 has no error, and is not retried`,
		`[{"step": "s", "outcomes": [{"error": "no", "retryAfter": "soon"}]}]`:               `"soon" is not a duration such as "1.5s" or "3d"`,
		`[{"step": "s", "outcomes": [{"error": "a"}, {"error": "b", "retryAfter": "-1s"}]}]`: `the duration "-1s" is negative`,
	} {
		_, err := sim.ParseInterventions([]byte(text))
		require.ErrorContains(t, err, want, "%s", text)
		require.ErrorContains(t, err, "reading interventions: ", "%s", text)
	}
}

func TestIntervene_OverHTTP(t *testing.T) {
	t.Parallel()
	ran := map[string]int{}
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, shipping(ran))
	a.serve()
	server := httptest.NewServer(a.sim.Handler())
	t.Cleanup(server.Close)
	all, err := sim.ParseInterventions([]byte(strings.Replace(declined, "9007199254740993", `"a forged label"`, 1)))
	require.NoError(t, err)
	unused, err := sim.Intervene(t.Context(), server.URL, all)
	require.NoError(t, err)
	require.Empty(t, unused)
	run := a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusCompleted, run.Status)
	label, _ := run.Step("print-label")
	require.JSONEq(t, `"a forged label"`, string(label.Output))
	require.Len(t, label.Attempts, 2)
	// Three days until the second attempt, no time asleep, a week for the wait, two hours each for the answer that announces
	// the last step and the one with its result.
	require.Equal(t, start.Add(10*24*time.Hour+4*time.Hour), run.Ended)
	require.Equal(t, map[string]int{"ship": 1}, ran)

	// The steps that it replaced have come up; one that is misspelt does not.
	_, err = sim.Intervene(t.Context(), server.URL, sim.Interventions{Replace: []sim.Replacement{{Step: "print-lable", Outcomes: []sim.Outcome{{}}}}})
	require.NoError(t, err)
	sendAndRun(a, "order/paid")
	require.NoError(t, a.sim.Replace("ship", "shipp", sim.Outcome{}))
	takeBack := sim.Interventions{Replace: []sim.Replacement{
		{Function: "shop-ship", Step: "print-label"}, {Step: "print-lable"}, {Function: "ship", Step: "shipp"}, {Step: "unknown"},
	}}
	unused, err = sim.Intervene(t.Context(), server.URL, takeBack)
	require.NoError(t, err)
	require.Equal(t, []string{"print-lable", "shipp of ship"}, unused)

	_, err = sim.Intervene(t.Context(), server.URL, sim.Interventions{Faults: []sim.Fault{{}}})
	require.EqualError(t, err, "intervening at "+server.URL+`: reading interventions: fault 1: give one of "lose": true, "twice": true and "late": a duration`)
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	_, err = sim.Intervene(t.Context(), other.URL, all)
	require.ErrorIs(t, err, sim.ErrNoSim)
}

func TestOptions_Interventions(t *testing.T) {
	t.Parallel()
	all, err := sim.ParseInterventions([]byte(`[{"step": "print-label", "outcomes": [{"error": "no paper", "noRetry": true}]}]`))
	require.NoError(t, err)
	a := newApp(t, sim.Options{Interventions: all})
	a.on("order/paid", opts{ID: "ship"}, shipping(map[string]int{}))
	a.serve()
	run := a.only(sendAndRun(a, "order/paid"))
	require.Equal(t, harness.StatusFailed, run.Status)
	require.Equal(t, "unhandled step error: no paper", run.Error.Message)
}

// A function is named as everywhere else: with its app's id in front, or without.
func TestInterventions_FindFunctionWithOrWithoutItsApp(t *testing.T) {
	t.Parallel()
	for function, replaced := range map[string]bool{"ship": true, "shop-ship": true, "": true, "hop-ship": false, "shop": false} {
		a := newApp(t, sim.Options{Interventions: sim.Interventions{
			Replace: []sim.Replacement{{Function: function, Step: "print-label", Outcomes: []sim.Outcome{{Value: "forged"}}}},
			Faults:  []sim.Fault{{Function: function, Step: "ship", Late: time.Hour}},
		}})
		a.on("order/paid", opts{ID: "ship"}, shipping(map[string]int{}))
		a.serve()
		run := a.only(sendAndRun(a, "order/paid"))
		label, _ := run.Step("print-label")
		require.Equal(t, replaced, label.Replaced, "%q", function)
		require.Equal(t, replaced, run.Ended.After(start.Add(8*24*time.Hour)), "%q", function)
	}
}

func TestSim_ReplacesStepByTheLastNameOfItsFunction(t *testing.T) {
	t.Parallel()
	a := newApp(t, sim.Options{})
	a.on("order/paid", opts{ID: "ship"}, shipping(map[string]int{}))
	a.serve()
	for _, names := range [][2]string{{"ship", "shop-ship"}, {"shop-ship", "ship"}} {
		require.NoError(t, a.sim.Replace(names[0], "print-label", sim.Outcome{Value: "first"}))
		require.NoError(t, a.sim.Replace(names[1], "print-label", sim.Outcome{Value: "second"}))
		label, _ := a.only(sendAndRun(a, "order/paid")).Step("print-label")
		require.JSONEq(t, `"second"`, string(label.Output), names)
		require.NoError(t, a.sim.Replace(names[0], "print-label"))
		label, _ = a.only(sendAndRun(a, "order/paid")).Step("print-label")
		require.False(t, label.Replaced, names)
	}
}

// An app that runs a step which is to be replaced, although the call tells it to announce its steps, would have the effect of its own code.
func TestSim_FailsRunWhoseAppRunsReplacedStep(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Start: start})
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	require.NoError(t, s.RegisterHandler(t.Context(), answering(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, `[{"op":"StepRun","id":"aa","displayName":"charge","data":1}]`)
	})))
	require.NoError(t, s.Replace("", "charge", sim.Outcome{Err: "the bank is closed"}))
	id, err := s.Send(t.Context(), harness.Event{Name: "go"})
	require.NoError(t, err)
	require.NoError(t, s.Run(t.Context()))
	run := s.RunsOf(id)[0]
	require.Equal(t, harness.StatusFailed, run.Status)
	require.Contains(t, run.Error.Message, "step charge is to be replaced, but the app has run it")
	require.Contains(t, run.Error.Message, "StepPlanned")
}
