package e2e_test

import (
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
)

// completed expects a run of the function in which every step succeeds at the first attempt.
func completed() harness.RunExpectation {
	return harness.RunExpectation{
		Function: notify,
		Status:   harness.StatusCompleted,
		Steps: []harness.StepExpectation{
			{ID: "fetch-request-details", Status: harness.StatusCompleted, Attempts: 1},
			{ID: "get-technician-email", Status: harness.StatusCompleted, Attempts: 1},
			{ID: "send-email", Status: harness.StatusCompleted, Attempts: 1},
		},
	}
}

func TestEveryTypicalRequest(t *testing.T) {
	for _, r := range fixtures.Requests() {
		t.Run(r.Name, func(t *testing.T) {
			suite.Run(t, func(t *harnesstest.T) {
				s := newEnv(t, fixtures.World())
				request := s.create(r.In(s.plant))
				s.Expect(s.dispatched(request, 1), harness.Expectation{
					Runs: []harness.RunExpectation{completed()},
					Mail: []harness.MailExpectation{{
						To:     s.technician(request.TechnicianID).Email,
						Golden: r.Name,
						Copies: 1,
						Checks: []harness.Check{harness.CheckAll},
						Headers: map[string]harness.Match{
							"X-Maintenance-Request-Id": harness.Equals(request.ID), "Message-ID": harness.Equals(request.Notification.MessageID),
						},
					}},
					NoOtherRuns: true,
					NoOtherMail: true,
				}, s.normalise(request)...)

				after := s.stored(request.ID).Notification
				require.Equal(t, app.Sent, after.State)
				require.Equal(t, request.Notification.MessageID, after.MessageID)
				require.Equal(t, 1, after.Attempts)
				require.Empty(t, after.LastError)
			})
		})
	}
}

// The caller's trace context goes through the event, the server and the function to the email.
func TestTraceContext_ReachesTheEmail(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		s := newEnv(t, fixtures.World())
		a := s.do(http.MethodPost, "/api/requests", fixtures.Requests()[0].In(s.plant).Body, "Traceparent", traceParent)
		require.Equal(t, http.StatusCreated, a.status, "%s", a.body)
		var request app.Request
		require.NoError(t, json.Unmarshal(a.body, &request))
		s.Expect(s.dispatched(request, 1), harness.Expectation{
			Runs: []harness.RunExpectation{completed()},
			Mail: []harness.MailExpectation{{
				To:      s.technician(request.TechnicianID).Email,
				Headers: map[string]harness.Match{"Traceparent": harness.Equals(traceParent)},
			}},
		})
	})
}

func TestHostileRequests(t *testing.T) {
	for _, r := range fixtures.HostileRequests() {
		t.Run(r.Name, func(t *testing.T) {
			suite.Run(t, func(t *harnesstest.T) {
				s := newEnv(t, fixtures.HostileWorld())
				r := r.In(s.plant)
				switch {
				case !r.Accepted():
					isRefused(s, r)
				case r.Notification == fixtures.Failed:
					failsUntilMended(s, r)
				default:
					arrives(s, r)
				}
			})
		})
	}
}

// isRefused checks that the API names the invalid fields, and no others.
func isRefused(s *env, r fixtures.Request) {
	a := s.post("/api/requests", r.Body)
	require.Equal(s, http.StatusBadRequest, a.status, "%s", a.body)
	require.Equal(s, "application/problem+json", a.header.Get("Content-Type"))
	var problem struct {
		Errors map[string]string `json:"errors"`
	}
	require.NoError(s, json.Unmarshal(a.body, &problem))
	for _, field := range r.Refused {
		require.NotEmpty(s, problem.Errors[field], "no message for %s in %s", field, a.body)
	}
	require.Len(s, problem.Errors, len(r.Refused))
}

// arrives checks that the email is there, and that the hostile text is text in it: neither markup nor a header.
func arrives(s *env, r fixtures.Request) {
	request := s.create(r)
	to := s.technician(request.TechnicianID).Email
	v := s.Expect(s.dispatched(request, 1), harness.Expectation{
		Runs:        []harness.RunExpectation{completed()},
		Mail:        []harness.MailExpectation{{To: to, Copies: 1}},
		NoOtherRuns: true,
		NoOtherMail: true,
	})
	m := v.Trace.Mail[0]
	require.Empty(s, m.Problems, "the email is well-formed")
	require.Equal(s, []string{to}, m.Envelope.To, "no recipient was added")
	require.Len(s, m.To, 1)
	require.Empty(s, m.Cc)
	require.Empty(s, m.Header("Bcc"))
	require.Empty(s, m.Files(), "nothing was attached")
	for _, h := range m.Headers {
		require.Contains(s, knownHeaders, strings.ToLower(h.Name), "a header was added")
	}
	requireOnlyOurMarkup(s, m.HTML, s.Env().AppURL+"/requests/"+request.ID)
}

// failsUntilMended checks that the request says why its notification failed, and that it is sent when a person has
// corrected the cause and requeued it.
func failsUntilMended(s *env, r fixtures.Request) {
	request := s.create(r)
	s.Expect(s.dispatched(request, 1), undeliverable("has no email address"))
	failed := s.stored(request.ID).Notification
	require.Equal(s, app.Failed, failed.State)
	require.Contains(s, failed.Reason, "has no email address")

	technician := s.technician(request.TechnicianID)
	to := s.Salt() + "@plant.test"
	require.NoError(s, s.store.PutWorld(s.Context(), app.World{Users: []app.User{{ID: technician.ID, Name: technician.Name, Email: to, Role: technician.Role}}}))
	requeue := "/api/requests/" + request.ID + "/notification"
	require.Equal(s, http.StatusAccepted, s.post(requeue, nil).status)
	s.Expect(s.dispatched(request, 2), harness.Expectation{
		Runs:        []harness.RunExpectation{completed()},
		Mail:        []harness.MailExpectation{{To: to, Copies: 1, Headers: map[string]harness.Match{"Message-ID": harness.Equals(request.Notification.MessageID)}}},
		NoOtherRuns: true, NoOtherMail: true,
	})
	sent := s.stored(request.ID).Notification
	require.Equal(s, app.Sent, sent.State)
	require.Equal(s, 2, sent.Generation)
	require.Equal(s, http.StatusConflict, s.post(requeue, nil).status, "what was sent cannot be requeued")
}

// undeliverable expects a run that fails without a retry, because there is no recipient.
func undeliverable(reason string) harness.Expectation {
	return harness.Expectation{
		Runs: []harness.RunExpectation{{
			Function: notify, Status: harness.StatusFailed, Error: reason,
			Steps: []harness.StepExpectation{
				{ID: "fetch-request-details", Status: harness.StatusCompleted},
				{ID: "get-technician-email", Status: harness.StatusFailed, Attempts: 1, Error: reason},
			},
		}},
		NoOtherRuns: true,
		NoOtherMail: true,
	}
}

func TestNotification_FailsForADeletedTechnician(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		s := newEnv(t, fixtures.World())
		request := s.storeUndispatched(fixtures.Requests()[0].In(s.plant))
		s.deleteUser(request.TechnicianID)
		s.SendAndExpect(harness.Event{IdempotencyKey: app.IdempotencyKey(request.ID, 1), Name: app.EventRequestCreated, Data: request.Event().Data}, undeliverable("does not exist"))
		after := s.stored(request.ID).Notification
		require.Equal(t, app.Failed, after.State)
		require.Contains(t, after.Reason, "does not exist")
	})
}

// requireOnlyOurMarkup fails when there is an element or an event handler that the template does not have, or another link.
func requireOnlyOurMarkup(t require.TestingT, text, page string) {
	doc, err := html.Parse(strings.NewReader(text))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		require.Contains(t, templateElements, n.Data, "an element was added")
		for _, a := range n.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on"), "an event handler was added: %s", a.Key)
			if a.Key == "href" || a.Key == "src" || a.Key == "action" {
				require.Equal(t, page, a.Val, "a link was added")
			}
		}
	}
}

// templateElements lists the elements of the app's emails.
var templateElements = []string{
	"html", "head", "meta", "title", "style", "body", "div", "table", "tbody", "tr", "td", "span", "bdi", "h1", "h2", "p", "br", "a",
}

func TestRequireOnlyOurMarkup_FindsAdditions(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`<p>ok</p><script>alert(1)</script>`,
		`<p onclick="alert(1)">ok</p>`,
		`<a href="javascript:alert(1)">ok</a>`,
		`<img src="https://evil.test/pixel.png">`,
	} {
		require.True(t, fails(func(t require.TestingT) { requireOnlyOurMarkup(t, text, "http://app.test/requests/1") }), "%s", text)
	}
	require.False(t, fails(func(t require.TestingT) {
		requireOnlyOurMarkup(t, `<p><a href="http://app.test/requests/1">ok</a></p>`, "http://app.test/requests/1")
	}))
}

// fails reports whether an assertion fails.
func fails(assert func(require.TestingT)) bool {
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		assert(r)
	}()
	<-done
	return r.failed
}

// recorder records whether a test failed.
type recorder struct{ failed bool }

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) FailNow()              { r.failed = true; runtime.Goexit() }

// knownHeaders lists the headers of the app's emails.
var knownHeaders = []string{
	"received", "return-path", "date", "from", "to", "subject", "message-id", "mime-version", "content-type", "content-language", "user-agent", "x-mailer",
	"x-inngest-run-id", "x-maintenance-request-id", "auto-submitted", "content-transfer-encoding",
	"x-auto-response-suppress", "importance", "x-priority", "priority", "x-msmail-priority",
}

func TestNotification_IsNotRepeatedForASecondEvent(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		s := newEnv(t, fixtures.World())
		request := s.create(fixtures.Requests()[0].In(s.plant))
		s.Expect(s.dispatched(request, 1), harness.Expectation{Runs: []harness.RunExpectation{completed()}})

		t.Run("a second event of the same request sends no second email", func(t *harnesstest.T) {
			v := t.SendAndExpect(event(s, request, "again"), harness.Expectation{
				Runs: []harness.RunExpectation{{
					Function: notify, Status: harness.StatusCompleted,
					Steps: []harness.StepExpectation{{ID: "send-email", Output: json.RawMessage(`{"skipped":"already sent"}`)}},
				}},
				Mail:        []harness.MailExpectation{{To: s.technician(request.TechnicianID).Email, Absent: true}},
				NoOtherRuns: true,
			})
			require.True(t, v.Trace.Quiet)
		})
	})
}

// event returns the event of a request as another program would send it.
func event(s *env, r app.Request, purpose string) harness.Event {
	s.Helper()
	encoded, err := json.Marshal(r.Event().Data)
	require.NoError(s, err)
	var data map[string]any
	require.NoError(s, json.Unmarshal(encoded, &data))
	return harness.Event{IdempotencyKey: s.Salt() + "-" + purpose, Name: app.EventRequestCreated, Data: data}
}

func TestNotification_FailsForAnInvalidEvent(t *testing.T) {
	tests := map[string]struct {
		change func(s *env, data map[string]any)
		step   string
		reason string
	}{
		"unknown request": {
			func(s *env, data map[string]any) { data["requestId"] = s.store.NewID() },
			"fetch-request-details", "there is no request",
		},
		"malformed request id": {
			func(_ *env, data map[string]any) { data["requestId"] = "{\"$gt\":\"\"}" },
			"fetch-request-details", "requestId",
		},
		"no data at all": {
			func(_ *env, data map[string]any) { clear(data) },
			"fetch-request-details", "requestId",
		},
		"another technician": {
			func(s *env, data map[string]any) { data["technicianId"] = s.store.NewID() },
			"fetch-request-details", "is assigned to",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			suite.Run(t, func(t *harnesstest.T) {
				s := newEnv(t, fixtures.World())
				request := s.create(fixtures.Requests()[0].In(s.plant))
				e := event(s, request, "hostile")
				test.change(s, e.Data.(map[string]any))
				s.SendAndExpect(e, harness.Expectation{
					Runs: []harness.RunExpectation{{
						Function: notify, Status: harness.StatusFailed, Error: test.reason,
						Steps: []harness.StepExpectation{{ID: test.step, Status: harness.StatusFailed, Attempts: 1, Error: test.reason}},
					}},
					NoOtherRuns: true,
					NoOtherMail: true,
				})
				// The invalid event does not affect the request's own notification.
				s.Expect(s.dispatched(request, 1), harness.Expectation{
					Mail: []harness.MailExpectation{{To: s.technician(request.TechnicianID).Email, Copies: 1}},
				})
				require.Equal(t, app.Sent, s.stored(request.ID).Notification.State)
			})
		})
	}
}
