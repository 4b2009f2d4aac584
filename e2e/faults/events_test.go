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

// event is the event of a request as somebody else would send it, with some of its data changed.
func (s *scene) event(r app.Request, id string, changed map[string]any) harness.Event {
	s.Helper()
	encoded, err := json.Marshal(r.Event().Data)
	require.NoError(s, err)
	var data map[string]any
	require.NoError(s, json.Unmarshal(encoded, &data))
	for key, value := range changed {
		data[key] = value
	}
	return harness.Event{IdempotencyKey: id, Name: app.EventRequestCreated, Data: data}
}

var eventRows = []row{
	{fault: "the same event three times", promise: sent(), happen: func(s *scene) {
		r := s.create(s.draft())
		for range 2 {
			s.send(s.event(r, app.IdempotencyKey(r.ID, 1), nil))
		}
	}},
	{fault: "malformed events straight to Inngest", promise: sent(), happen: func(s *scene) {
		r := s.create(s.draft())
		for name, changed := range map[string]map[string]any{
			"number":  {"requestId": 42},
			"list":    {"requestId": []string{r.ID}},
			"query":   {"requestId": map[string]string{"$ne": ""}},
			"nothing": {"requestId": nil, "technicianId": nil},
			"control": {"requestId": r.ID[:23] + "\x00"},
		} {
			s.rejects(s.event(r, r.ID+"-malformed-"+name, changed))
		}
	}},
	{fault: "events that name what is not there", promise: sent(), happen: func(s *scene) {
		r := s.create(s.draft())
		s.rejects(s.event(r, r.ID+"-unknown-request", map[string]any{"requestId": s.store.NewID()}))
		s.rejects(s.event(r, r.ID+"-unknown-technician", map[string]any{"technicianId": s.store.NewID()}))
	}},
	{fault: "oversized events straight to Inngest", promise: sent(), happen: func(s *scene) {
		r := s.create(s.draft())
		// What the server takes must not hurt, and what it refuses must not get through.
		s.send(s.event(r, r.ID+"-large", map[string]any{"subject": strings.Repeat("large ", 30_000)}))
		_, err := s.stack.Send(s.Context(), s.event(r, r.ID+"-oversized", map[string]any{"subject": strings.Repeat("oversized ", 1_000_000)}))
		require.ErrorContains(s, err, "over the max size")
	}},
	{fault: "hostile text in every field of an event", promise: sent(), happen: func(s *scene) {
		r := s.create(s.draft())
		const hostile = "\r\nBcc: all@plant.test\r\n\r\n<script>{{.}}</script>\u202e"
		s.send(s.event(r, r.ID+"-hostile", map[string]any{
			"subject": hostile, "type": hostile, "equipmentId": hostile, "requestedById": hostile, hostile: hostile,
		}))
		s.rejects(s.event(r, r.ID+"-hostile-ids", map[string]any{"requestId": hostile, "technicianId": hostile}))
	}},
	{fault: "hostile text in every field of a request", promise: sent(), happen: func(s *scene) {
		for _, r := range fixtures.HostileRequests() {
			d := s.draftOf(r, fixtures.HostileWorld())
			switch {
			case !r.Accepted():
				status, body := s.post(d.body)
				require.Equal(s, http.StatusBadRequest, status, "%s: %s", r.Name, body)
			case r.Notification == fixtures.Failed:
				p := failed("no email address")
				d.promise = &p
				s.create(d)
			default:
				s.create(d)
			}
		}
	}, promised: "sent, one copy; without an address: failed, with a reason"},
}

// rejects sends an event for which the function must fail, without an email and without being tried again.
func (s *scene) rejects(e harness.Event) {
	s.Helper()
	v, err := s.stack.Judge(s.Context(), s.send(e), harness.Expectation{
		Runs:        []harness.RunExpectation{{Function: notify, Status: harness.StatusFailed}},
		NoOtherRuns: true,
		NoOtherMail: true,
	}, stack.JudgeOptions{Timeout: patience})
	require.NoError(s, err)
	require.NoError(s, v.Err())
	for _, c := range s.stack.Taps().Exchanges() {
		if c.Call != nil && c.Call.RunID == v.Trace.Runs[0].ID {
			require.Equal(s, 1, c.Call.Attempt, "the event %s was tried again: %+v", e.IdempotencyKey, c.Call.Error)
		}
	}
}

var callRows = []row{
	{fault: "two events for one request, the second overtakes", promise: sent(), happen: func(s *scene) {
		hold := s.inject(before(sendEmail, getTechnician))
		r := s.create(s.draft())
		s.reached(hold)
		id := s.send(s.event(r, r.ID+"-overtakes", nil))
		v, err := s.stack.Judge(s.Context(), id, harness.Expectation{
			Runs: []harness.RunExpectation{{Function: notify, Status: harness.StatusCompleted}},
		}, stack.JudgeOptions{Timeout: patience})
		require.NoError(s, err)
		require.NoError(s, v.Err())
		hold.Release()
	}},
	{fault: "two events for one request, while the first delivers", promise: sent(), happen: func(s *scene) {
		hold := s.inject(tap.Fault{At: tap.AtDATA, Do: tap.Hold})
		r := s.create(s.draft())
		s.reached(hold)
		s.send(s.event(r, r.ID+"-beside", nil))
		s.sees("the second run's answer", s.began, func(c tap.Exchange) bool {
			return c.Call != nil && c.Over() && len(c.Call.Events) > 0 && c.Call.Events[0].IdempotencyKey == r.ID+"-beside"
		})
		hold.Release()
	}},
	{fault: "one call delivered twice, side by side", promise: sent(), happen: func(s *scene) {
		s.inject(tap.Fault{At: tap.AtCall, Do: tap.Twice, Concurrent: true, Function: notify})
		s.create(s.draft())
	}},
	{fault: "one call delivered twice, the second answer heard", promise: sent(), happen: func(s *scene) {
		s.inject(tap.Fault{At: tap.AtCall, Do: tap.Twice, Second: true, Function: notify})
		s.create(s.draft())
	}},
	{fault: "a call's answer lost", promise: sent(), happen: func(s *scene) {
		s.inject(tap.Fault{At: tap.AtCall, Do: tap.DropAnswer, Function: notify})
		s.create(s.draft())
	}},
	{fault: "send-email done, never saved", promise: sent(), happen: func(s *scene) {
		s.inject(tap.Fault{At: tap.AtStep, Do: tap.DropAnswer, Function: notify, Step: sendEmail})
		s.create(s.draft())
	}},
	{fault: "the event lost on its way, twice", promise: sent(), happen: func(s *scene) {
		s.inject(tap.Fault{At: tap.AtEvent, Do: tap.Drop, Times: 2})
		s.create(s.draft())
	}},
	{fault: "the event refused with 500, then taken", promise: sent(), happen: func(s *scene) {
		s.inject(tap.Fault{At: tap.AtEvent, Do: tap.Reply, Code: 500, Times: 2})
		s.create(s.draft())
	}},
	{fault: "the event discarded: answered, never passed on", promise: sent(), happen: func(s *scene) {
		s.inject(tap.Fault{At: tap.AtEvent, Do: tap.Discard})
		s.create(s.draft())
		// The server does not know what it never had.
		s.sees("the discarded event", s.began, func(c tap.Exchange) bool { return c.Dispatch != nil && c.Over() })
		s.lostAt = s.stack.Taps().Last()
	}},
}
