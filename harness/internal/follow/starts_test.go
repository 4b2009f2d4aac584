package follow

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

func TestTriggered_EvaluatesConditions(t *testing.T) {
	t.Parallel()
	on := func(triggers ...inngestapi.Trigger) inngestapi.Function {
		return inngestapi.Function{ID: "f", App: "a", Triggers: triggers}
	}
	when := func(condition string) inngestapi.Function {
		return on(inngestapi.Trigger{Event: "order/*", Expression: condition})
	}
	event := inngestapi.ReceivedEvent{EventID: "01E", IdempotencyKey: "key", Name: "order/paid",
		Data: json.RawMessage(`{"n":3,"kind":"big"}`), At: noon}
	for name, test := range map[string]struct {
		function            inngestapi.Function
		event               inngestapi.ReceivedEvent
		subscribed          bool
		notStarted, pending string
	}{
		"no condition": {when(""), event, true, "", ""},
		"true":         {when("event.data.n >= 3 && event.data.kind == 'big'"), event, true, "", ""},
		"false": {when("event.data.n > 3"), event, true, "its condition event.data.n > 3 is false for this event",
			""},
		"of the id":   {when("event.id == 'key'"), event, true, "", ""},
		"of the time": {when("event.ts > 1.0"), event, true, "", ""},
		"of the name": {when("event.name == 'order/paid'"), event, true, "", ""},
		"no value": {when("event.data.absent.x"), event, true,
			"its condition event.data.absent.x is false for this event", ""},
		"another name": {on(inngestapi.Trigger{Event: "order/sent"}), event, false, "", ""},
		"one of two conditions": {on(inngestapi.Trigger{Event: "order/paid", Expression: "false"},
			inngestapi.Trigger{Event: "order/*", Expression: "true"}), event, true, "", ""},
		"not readable":           {when("event.data.n >"), event, true, "", "cannot be evaluated here"},
		"of the user":            {when("event.user.id == 1"), event, true, "", "the server does not show the field \"user\" of an event"},
		"of the user, by index":  {when("event['user'].id == 1"), event, true, "", `the server does not show the field "user" of an event`},
		"of the version":         {when("has(event.v)"), event, true, "", `the server does not show the field "v" of an event`},
		"of a field named event": {when("event.data.event.user == 1"), event, true, "its condition event.data.event.user == 1 is false for this event", ""},
		"data that are not known": {
			when("event.data.n > 3"), inngestapi.ReceivedEvent{Name: "order/paid"}, true, "", "the data of the event are not known",
		},
	} {
		got, ok := triggered(test.function, test.event)
		require.Equal(t, test.subscribed, ok, name)
		if ok {
			require.Equal(t, "f", got.ID, name)
		}
		require.Equal(t, test.notStarted, got.NotStarted, name)
		require.Contains(t, got.Pending, test.pending, name)
		require.Equal(t, test.pending == "", got.Pending == "", name)
	}
}

// Invocations count against a rate limit, and replace a debounced event, as other events do: those of steps and those of the API.
func TestWhyNot_CountsRunsThatInvocationsStarted(t *testing.T) {
	t.Parallel()
	for _, correlation := range []string{`"correlation_id":"01CALLER.step",`, ""} {
		countsInvocations(t, correlation)
	}
}

func countsInvocations(t *testing.T, correlation string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		invocation := func(id, function string) string {
			raw := fmt.Sprintf(`{"data":{"k":"x","_inngest":{%s"fn_id":%q}}}`, correlation, function)
			return fmt.Sprintf(`{"node":{"id":%q,"name":"inngest/function.invoked","receivedAt":"2026-11-23T12:00:01Z","raw":%q}}`, id, raw)
		}
		switch query := string(body); {
		case strings.Contains(query, "eventsV2") && strings.Contains(query, "inngest/function.invoked") &&
			strings.Contains(query, `"includeInternalEvents":true`):
			fmt.Fprintf(w, `{"data":{"eventsV2":{"edges":[%s,%s]}}}`, invocation("01OTHER", "a-other"), invocation("01INVOKED", "a-f"))
		case strings.Contains(query, "eventsV2"):
			fmt.Fprint(w, `{"data":{"eventsV2":{"edges":[]}}}`)
		case strings.Contains(query, "01INVOKED"):
			fmt.Fprint(w, `{"data":{"eventV2":{"runs":[{"id":"01R"}]}}}`)
		case strings.Contains(query, "01R"):
			fmt.Fprint(w, `{"data":{"run":{"id":"01R","status":"RUNNING","queuedAt":"2026-11-23T12:00:02Z",
				"function":{"slug":"a-f"},"app":{"externalID":"a"}}}}`)
		default:
			t.Errorf("asked for what another function started: %s", query)
		}
	}))
	t.Cleanup(server.Close)
	f := newForgetful(t)
	f.src.API = inngestapi.New(server.URL, inngestapi.Options{})
	t.Cleanup(func() { _ = f.src.API.Close(context.Background()) })
	e := &tracedEvent{ReceivedEvent: inngestapi.ReceivedEvent{EventID: "01E", Name: "order/paid", Received: noon.Add(time.Second),
		At: noon.Add(time.Second), Data: json.RawMessage(`{"k":"x"}`)}}
	control := &inngestapi.FlowControl{Limit: 1, Period: "1m", Key: "event.data.k"}
	for want, fn := range map[string]inngestapi.Function{
		"its rate limit of 1 in 1m for each event.data.k was used up: by the run 01R, of the event 01INVOKED": {RateLimit: control},
		"it was debounced into a later event: the run 01R, of the event 01INVOKED, stands for both":           {Debounce: control},
	} {
		fn.ID, fn.App, fn.Triggers = "f", "a", []inngestapi.Trigger{{Event: "order/paid"}}
		why, err := start{&look{Follower: f}, e, fn}.whyNot(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, why)
	}
}

func TestBucket_TellsEventsApartAsServerDoes(t *testing.T) {
	t.Parallel()
	e := inngestapi.ReceivedEvent{Data: json.RawMessage(`{"user":"kim","n":1}`)}
	for key, want := range map[string]string{"": "", "event.data.user": `"kim"`, "event.data.n": "1",
		"event.data.absent": "false"} {
		got, ok := bucket(key, e)
		require.True(t, ok)
		require.Equal(t, want, got, key)
	}
	_, ok := bucket("event.user.id", e)
	require.False(t, ok)
}

func TestPending_SaysWhenItIsDecided(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	f.src.Now = func() time.Time { return noon }
	e := &tracedEvent{ReceivedEvent: inngestapi.ReceivedEvent{Name: "order/paid", Received: noon,
		Data: json.RawMessage(`{"n":1}`)}}
	local := func(after time.Duration) string { return noon.Add(after).Local().Format(time.TimeOnly) }
	for want, fn := range map[string]inngestapi.Function{
		"": {},
		"collects events in batches of 3: it starts at once when events within 500ms fill its batch, else 10s after the first " +
			"event of it, at the latest at " + local(10*time.Second): {
			Batch: &inngestapi.FlowControl{MaxSize: 3, Timeout: "10s", If: "event.data.n == 1"},
		},
		"is a singleton: it starts at once unless it is running": {
			Batch: &inngestapi.FlowControl{MaxSize: 3, Timeout: "10s", If: "event.data.n == 2"}, Singleton: &inngestapi.FlowControl{},
		},
		"is debounced for each event.data.u: it starts for the last of several events, 1m after it; for this one at " +
			local(time.Minute+time.Second) + " if there is no later one": {
			Debounce: &inngestapi.FlowControl{Period: "1m", Key: "event.data.u"},
		},
		"is limited to 2 in 1d: whether the event is dropped will be known at " + local(inngestapi.VisibleWithin): {
			RateLimit: &inngestapi.FlowControl{Limit: 2, Period: "1d"},
		},
	} {
		require.Equal(t, want, start{&look{Follower: f}, e, fn}.pending())
	}
	cancels := inngestapi.Function{Singleton: &inngestapi.FlowControl{Mode: "cancel"}}
	require.Empty(t, start{&look{Follower: f}, e, cancels}.pending(), "it cancels the run at work and starts at once")
	require.Equal(t, "2026-11-25 "+local(0), clock(noon.Add(48*time.Hour), noon))
}

func TestCurrentStep_SaysThatRunWaitsForTimeOfItsEvent(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	f.src.Now = func() time.Time { return noon }
	f.events = []*tracedEvent{{ReceivedEvent: inngestapi.ReceivedEvent{EventID: "01E", Received: noon, At: noon.Add(time.Minute)}}}
	r := &tracedRun{TraceRun: harness.TraceRun{EventID: "01E", Status: harness.StatusQueued}}
	require.Equal(t, " until "+noon.Add(time.Minute).Local().Format(time.TimeOnly)+", the time (ts) of its event",
		f.currentStep(r))
	r.Status = harness.StatusRunning
	require.Empty(t, f.currentStep(r))
}

func TestUsedUp_SpreadsLimitOverPeriod(t *testing.T) {
	t.Parallel()
	at := func(seconds ...float64) []otherRun {
		var runs []otherRun
		for _, s := range seconds {
			runs = append(runs, otherRun{received: noon.Add(time.Duration(s * float64(time.Second)))})
		}
		return runs
	}
	for name, c := range map[string]struct {
		limit int
		runs  []otherRun
		want  bool
	}{
		"no run before": {1, nil, false},
		"one of one":    {1, at(-50), true},
		"one of two, less than half a period ago":         {2, at(-29), true},
		"one of two, more than half a period ago":         {2, at(-31), false},
		"one of ten, at once":                             {10, at(-0.1), false},
		"two of ten, at once":                             {10, at(-0.2, -0.1), true},
		"many of a hundred, as far apart as it lets them": {100, at(-3, -2.4, -1.8, -1.2, -0.6), false},
		"one, counted first though it came later":         {1, at(0.5), true},
		"one of ten, counted first though it came later":  {10, at(0.5), false},
		"no limit that can be read":                       {0, at(-1), false},
	} {
		require.Equal(t, c.want, usedUp(&inngestapi.FlowControl{Limit: c.limit, Period: "60s"}, c.runs, noon), name)
	}
}
