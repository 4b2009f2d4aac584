package faults_test

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// event returns the event of a request as another sender would send it, with some of its data changed.
func (e *env) event(r app.Request, id string, changed map[string]any) harness.Event {
	e.Helper()
	encoded, err := json.Marshal(r.Event().Data)
	require.NoError(e, err)
	var data map[string]any
	require.NoError(e, json.Unmarshal(encoded, &data))
	for key, value := range changed {
		data[key] = value
	}
	return harness.Event{IdempotencyKey: id, Name: app.EventRequestCreated, Data: data}
}

var eventRows = []row{
	{fault: "the same event three times", promise: sent(), happen: func(e *env) {
		r := e.create(e.draft())
		for range 2 {
			e.send(e.event(r, app.IdempotencyKey(r.ID, 1), nil))
		}
	}},
	{fault: "malformed events straight to Inngest", promise: sent(), happen: func(e *env) {
		r := e.create(e.draft())
		for name, changed := range map[string]map[string]any{
			"number":  {"requestId": 42},
			"list":    {"requestId": []string{r.ID}},
			"query":   {"requestId": map[string]string{"$ne": ""}},
			"nothing": {"requestId": nil, "technicianId": nil},
			"control": {"requestId": r.ID[:23] + "\x00"},
		} {
			e.rejects(e.event(r, r.ID+"-malformed-"+name, changed))
		}
	}},
	{fault: "events that name what is not there", promise: sent(), happen: func(e *env) {
		r := e.create(e.draft())
		e.rejects(e.event(r, r.ID+"-unknown-request", map[string]any{"requestId": e.store.NewID()}))
		e.rejects(e.event(r, r.ID+"-unknown-technician", map[string]any{"technicianId": e.store.NewID()}))
	}},
	{fault: "oversized events straight to Inngest", promise: sent(), happen: func(e *env) {
		r := e.create(e.draft())
		// The server accepts the first event, which must do no harm, and refuses the second.
		e.send(e.event(r, r.ID+"-large", map[string]any{"subject": strings.Repeat("large ", 30_000)}))
		_, err := e.stack.Send(e.Context(), e.event(r, r.ID+"-oversized", map[string]any{"subject": strings.Repeat("oversized ", 1_000_000)}))
		require.ErrorContains(e, err, "over the max size")
	}},
	{fault: "hostile text in every field of an event", promise: sent(), happen: func(e *env) {
		r := e.create(e.draft())
		const hostile = "\r\nBcc: all@plant.test\r\n\r\n<script>{{.}}</script>\u202e"
		e.send(e.event(r, r.ID+"-hostile", map[string]any{
			"subject": hostile, "type": hostile, "equipmentId": hostile, "requestedById": hostile, hostile: hostile,
		}))
		e.rejects(e.event(r, r.ID+"-hostile-ids", map[string]any{"requestId": hostile, "technicianId": hostile}))
	}},
	{fault: "hostile text in every field of a request", promise: sent(), happen: func(e *env) {
		for _, r := range fixtures.HostileRequests() {
			d := e.draftOf(r, fixtures.HostileWorld())
			switch {
			case !r.Accepted():
				status, body := e.post(d.body)
				require.Equal(e, http.StatusBadRequest, status, "%s: %s", r.Name, body)
			case r.Notification == fixtures.Failed:
				p := failed("no email address")
				d.promise = &p
				e.create(d)
			default:
				e.create(d)
			}
		}
	}, promised: "sent, one copy; without an address: failed, with a reason"},
}

// rejects sends an event for which the function must fail, without an email and without a retry.
func (e *env) rejects(event harness.Event) {
	e.Helper()
	v, err := e.stack.Judge(e.Context(), e.send(event), harness.Expectation{
		Runs:        []harness.RunExpectation{{Function: notify, Status: harness.StatusFailed}},
		NoOtherRuns: true,
		NoOtherMail: true,
	}, stack.JudgeOptions{Timeout: patience})
	require.NoError(e, err)
	require.NoError(e, v.Err())
	for _, c := range e.stack.Taps().Exchanges() {
		if c.Call != nil && c.Call.RunID == v.Trace.Runs[0].ID {
			require.Equal(e, 1, c.Call.Attempt, "the event %s was retried: %+v", event.IdempotencyKey, c.Call.Error)
		}
	}
}

var callRows = []row{
	{fault: "two events for one request, the second overtakes", promise: sent(), happen: func(e *env) {
		hold := e.inject(before(sendEmail, getTechnician))
		r := e.create(e.draft())
		e.waitReached(hold)
		id := e.send(e.event(r, r.ID+"-overtakes", nil))
		v, err := e.stack.Judge(e.Context(), id, harness.Expectation{
			Runs: []harness.RunExpectation{{Function: notify, Status: harness.StatusCompleted}},
		}, stack.JudgeOptions{Timeout: patience})
		require.NoError(e, err)
		require.NoError(e, v.Err())
		hold.Release()
	}},
	{fault: "two events for one request, while the first delivers", promise: sent(), happen: func(e *env) {
		hold := e.inject(tap.Fault{At: tap.AtDATA, Do: tap.Hold})
		r := e.create(e.draft())
		e.waitReached(hold)
		e.send(e.event(r, r.ID+"-beside", nil))
		e.waitFor("the second run's answer", e.began, func(c tap.Exchange) bool {
			return c.Call != nil && c.Over() && len(c.Call.Events) > 0 && c.Call.Events[0].IdempotencyKey == r.ID+"-beside"
		})
		hold.Release()
	}},
	{fault: "the event discarded: answered, never passed on", promise: sent(), happen: func(e *env) {
		e.inject(tap.Fault{At: tap.AtEvent, Do: tap.Discard})
		e.create(e.draft())
		// The server never got the event.
		e.waitFor("the discarded event", e.began, func(c tap.Exchange) bool { return c.Dispatch != nil && c.Over() })
		e.lostAt = e.stack.Taps().Last()
	}},
}
