package functions_test

import (
	"encoding/json"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// row is one branch of the function.
type row struct {
	name string
	// arrange changes what there is before the first event. Nil: nothing.
	arrange func(*env)
	// faults act on the wires.
	faults []tap.Fault
	// acts are the events, each sent when all that follows from the one before has been judged.
	acts func(*env) []act
	// after looks at the notification in the end.
	after func(*env, app.Notification)
}

// act is an event and what is expected of it.
type act struct {
	before func() // nil: nothing
	event  harness.Event
	want   harness.Expectation
}

// once is one act: the app's own event.
func once(want func(*env) harness.Expectation) func(*env) []act {
	return func(s *env) []act { return []act{{event: s.own(), want: want(s)}} }
}

// foreign returns one act: an event that another program sends.
func foreign(change func(*env, *app.RequestCreated), want func(*env) harness.Expectation) func(*env) []act {
	return func(s *env) []act {
		return []act{{event: s.foreign(func(d *app.RequestCreated) { change(s, d) }), want: want(s)}}
	}
}

const (
	fetch = functions.StepFetchRequestDetails
	look  = functions.StepGetTechnicianEmail
	send  = functions.StepSendEmail
)

// run expects one run and nothing besides.
func run(status harness.Status, reason string, steps ...harness.StepExpectation) harness.Expectation {
	return harness.Expectation{
		Runs:        []harness.RunExpectation{{Function: functions.SendRequestNotificationID, Status: status, Error: reason, Steps: steps}},
		NoOtherRuns: true, NoOtherMail: true,
	}
}

func done(id string, attempts int) harness.StepExpectation {
	return harness.StepExpectation{ID: id, Status: harness.StatusCompleted, Attempts: attempts}
}

func broken(id string, attempts int, reason string) harness.StepExpectation {
	return harness.StepExpectation{ID: id, Status: harness.StatusFailed, Attempts: attempts, Error: reason}
}

// sends expects a run that ends well, its last step at that attempt, and one email.
func sends(attempts int, text ...string) func(*env) harness.Expectation {
	return func(s *env) harness.Expectation {
		e := run(harness.StatusCompleted, "", done(fetch, 1), done(look, 1), done(send, attempts))
		e.Mail = []harness.MailExpectation{s.mail(1, text...)}
		return e
	}
}

// mail is the email to the technician.
func (s *env) mail(copies int, text ...string) harness.MailExpectation {
	return harness.MailExpectation{
		To: s.technician.Email, Copies: copies, Text: harness.Contains(append(text, "Belt torn")...), HTML: harness.Contains("/requests/" + s.request.ID),
		Headers: map[string]harness.Match{
			"Message-ID": harness.Equals(s.request.Notification.MessageID), "X-Maintenance-Request-Id": harness.Equals(s.request.ID),
		},
	}
}

// skips expects a run that ends well, with nothing sent because of that.
func skips(because app.ClaimResult) func(*env) harness.Expectation {
	output, _ := json.Marshal(map[string]string{"skipped": string(because)}) // a map of strings always encodes
	return func(*env) harness.Expectation {
		last := done(send, 1)
		last.Output = output
		return run(harness.StatusCompleted, "", done(fetch, 1), done(look, 1), last)
	}
}

// failsAt expects a run that fails at a step after some attempts, with nothing sent.
func failsAt(step string, attempts int, reason string) func(*env) harness.Expectation {
	return func(*env) harness.Expectation {
		return run(harness.StatusFailed, reason, broken(step, attempts, reason))
	}
}

func isSent(attempts int) func(*env, app.Notification) {
	return func(s *env, n app.Notification) {
		require.Equal(s.t, app.Sent, n.State)
		require.Equal(s.t, attempts, n.Attempts)
		require.Equal(s.t, s.request.Notification.MessageID, n.MessageID)
	}
}

func isFailed(reason string) func(*env, app.Notification) {
	return func(s *env, n app.Notification) {
		require.Equal(s.t, app.Failed, n.State)
		require.Contains(s.t, n.Reason, reason)
	}
}

// isUntouched: nothing has happened to it.
func isUntouched(s *env, n app.Notification) {
	require.Equal(s.t, s.request.Notification, n)
}

// attempts is how often a step is tried at most.
const attempts = 5

// rows are the branches of send-request-notification.
var rows = []row{
	{name: "the technician is written to", acts: once(sends(1, "Press 4", "Lee Park")), after: isSent(1)},
	{
		name: "what is no longer listed is named by its id",
		arrange: func(s *env) {
			s.store.DeleteUser(s.requester.ID)
			s.request.ID, s.request.EquipmentID = s.store.NewID(), s.store.NewID()
			s.request.Notification.MessageID = email.MessageID(s.request.ID, "plant.example")
			require.NoError(s.t, s.store.CreateRequest(s.t.Context(), s.request))
		},
		acts: once(sends(1, "unknown person", "unknown equipment")), after: isSent(1),
	},
	{
		name:  "an event from elsewhere works as one of the app",
		acts:  foreign(func(*env, *app.RequestCreated) {}, sends(1)),
		after: isSent(1),
	},

	// Events that cannot be acted on end at once, and do the request that they name no harm.
	{
		name: "an unknown request", acts: foreign(func(s *env, d *app.RequestCreated) { d.RequestID = s.store.NewID() }, failsAt(fetch, 1, "there is no request")),
		after: isUntouched,
	},
	{
		name: "an id that is none", acts: foreign(func(_ *env, d *app.RequestCreated) { d.RequestID = "{$ne:1}" }, failsAt(fetch, 1, "data.requestId is not an id")),
		after: isUntouched,
	},
	{
		name: "no technician", acts: foreign(func(_ *env, d *app.RequestCreated) { d.TechnicianID = "" }, failsAt(fetch, 1, "data.technicianId is not an id")),
		after: isUntouched,
	},
	{
		name: "another technician, in an event from elsewhere",
		acts: foreign(func(s *env, d *app.RequestCreated) { d.TechnicianID = s.other.ID }, failsAt(fetch, 1, "is assigned to")), after: isUntouched,
	},
	{
		name: "no data at all",
		acts: func(s *env) []act {
			return []act{{event: harness.Event{Name: app.EventRequestCreated}, want: failsAt(fetch, 1, "data.requestId is not an id")(s)}}
		},
		after: isUntouched,
	},
	{
		name: "data of other types",
		acts: func(*env) []act {
			return []act{{
				event: harness.Event{Name: app.EventRequestCreated, Data: map[string]any{"requestId": 7}},
				want:  run(harness.StatusFailed, "cannot unmarshal number"),
			}}
		},
		after: isUntouched,
	},
	{
		name: "another technician, in the app's own event",
		acts: func(s *env) []act {
			e := s.foreign(func(d *app.RequestCreated) { d.TechnicianID = s.other.ID })
			e.IdempotencyKey = s.own().IdempotencyKey
			return []act{{event: e, want: failsAt(fetch, 1, "is assigned to")(s)}}
		},
		after: isFailed("is assigned to"),
	},

	// Who cannot be written to is a matter for a person.
	{
		name: "a technician who is deleted", arrange: func(s *env) { s.store.DeleteUser(s.technician.ID) },
		acts: once(failsAt(look, 1, "does not exist")), after: isFailed("does not exist"),
	},
	{
		name: "a technician without an address", arrange: func(s *env) { s.technician.Email = ""; s.put(s.technician) },
		acts: once(failsAt(look, 1, "technician Kim Larsen has no email address")), after: isFailed("has no email address"),
	},
	{
		name: "an address that is none", arrange: func(s *env) { s.technician.Email = "kim@"; s.put(s.technician) },
		acts: once(failsAt(look, 1, "is not a valid one")), after: isFailed("is not a valid one"),
	},
	{
		name:   "a mail server that refuses for good",
		faults: []tap.Fault{{At: tap.AtDot, Do: tap.Reply, Code: 550, Text: "no such user here"}},
		acts:   once(failsAt(send, 1, "no such user here")), after: isFailed("the mail server refused the email for good (accept): 550 no such user here"),
	},
	{
		name:   "what failed is sent once a person has requeued it",
		faults: []tap.Fault{{At: tap.AtRCPT, Do: tap.Reply, Code: 550, Text: "no such user here"}},
		acts: func(s *env) []act {
			first := act{event: s.own(), want: failsAt(send, 1, "no such user here")(s)}
			again := act{event: s.foreign(nil), want: skips(app.HasFailed)(s)}
			requeued := act{
				before: func() {
					s.change(func(n app.Notification) (app.Notification, bool) { return n.Requeue(time.Now(), testenv.Pace) })
				},
				want: sends(1)(s),
			}
			requeued.event = s.own()
			requeued.event.IdempotencyKey = app.IdempotencyKey(s.request.ID, 2)
			return []act{first, again, requeued}
		},
		after: isSent(2),
	},

	// What may pass is tried again.
	{
		name:   "a mail server that is busy twice",
		faults: []tap.Fault{{At: tap.AtDot, Do: tap.Reply, Code: 451, Text: "mailbox busy", Times: 2}},
		acts:   once(sends(3)),
		after: func(s *env, n app.Notification) {
			isSent(3)(s, n)
			require.Contains(s.t, n.LastError, "mailbox busy")
		},
	},
	{
		name:   "a mail server that is busy in every attempt: the dispatcher starts a new run",
		faults: []tap.Fault{{At: tap.AtConnect, Do: tap.Reply, Code: 421, Text: "too busy", Times: attempts}},
		acts: func(s *env) []act {
			redispatched := act{
				before: func() {
					n := s.notification()
					require.Equal(s.t, app.Dispatched, n.State)
					require.Equal(s.t, attempts, n.Attempts)
					require.Contains(s.t, n.LastError, "too busy")
					require.Nil(s.t, n.Claim)
					require.WithinDuration(s.t, time.Now().Add(testenv.Pace.RedispatchAfter/8), n.NextDispatchAt, time.Minute)
					s.change(func(n app.Notification) (app.Notification, bool) {
						return n.TakeForDispatch(n.NextDispatchAt, testenv.Pace)
					})
				},
				event: s.own(), want: sends(1)(s),
			}
			redispatched.event.IdempotencyKey = app.IdempotencyKey(s.request.ID, 2)
			return []act{{event: s.own(), want: failsAt(send, attempts, "too busy")(s)}, redispatched}
		},
		after: isSent(attempts + 1),
	},
	{
		name: "a store that is away once", arrange: func(s *env) { s.fails(storeFault{reads: 2}) }, // the second is to note the first
		acts: func(s *env) []act {
			want := sends(1)(s)
			want.Runs[0].Steps[0].Attempts = 2
			return []act{{event: s.own(), want: want}}
		},
		after: isSent(1),
	},
	{
		name: "a store that stays away", arrange: func(s *env) { s.fails(storeFault{reads: -1}) },
		acts: once(failsAt(fetch, attempts, "read the request: the store is away")), after: isUntouched,
	},
	{
		name: "a failure that cannot be recorded is tried again",
		arrange: func(s *env) {
			s.store.DeleteUser(s.technician.ID)
			s.fails(storeFault{failing: 1})
		},
		acts: once(failsAt(look, 2, "does not exist")), after: isFailed("does not exist"),
	},

	// One request, one email.
	{
		name: "the same event twice",
		acts: func(s *env) []act {
			return []act{{event: s.own(), want: sends(1)(s)}, {event: s.own(), want: harness.Expectation{NoOtherRuns: true}}}
		},
		after: isSent(1),
	},
	{
		name: "another event when it has been sent",
		acts: func(s *env) []act {
			return []act{{event: s.own(), want: sends(1)(s)}, {event: s.foreign(nil), want: skips(app.AlreadySent)(s)}}
		},
		after: isSent(1),
	},
	{
		name: "an event of an earlier dispatch",
		arrange: func(s *env) {
			s.change(func(n app.Notification) (app.Notification, bool) {
				return n.TakeForDispatch(n.NextDispatchAt, testenv.Pace)
			})
		},
		acts: func(s *env) []act {
			old := s.own()
			old.IdempotencyKey = app.IdempotencyKey(s.request.ID, 1)
			return []act{{event: old, want: skips(app.Superseded)(s)}, {event: s.own(), want: sends(1)(s)}}
		},
		after: isSent(1),
	},
	{
		name: "a claim that another run has",
		arrange: func(s *env) {
			s.change(func(n app.Notification) (app.Notification, bool) {
				n, got := n.ClaimFor(app.Run{ID: "another run"}, time.Now(), testenv.Pace)
				return n, got == app.Granted
			})
		},
		acts: once(skips(app.HeldByOther)), after: isUntouched,
	},
	{
		name: "a crash between the email and the checkpoint",
		faults: []tap.Fault{
			{At: tap.AtCheckpoint, Do: tap.Drop, Step: send},
			{At: tap.AtCall, Do: tap.DropAnswer},
		},
		acts: func(s *env) []act {
			want := sends(1)(s)
			want.Runs[0].Steps[2] = harness.StepExpectation{ID: send, Status: harness.StatusCompleted, Output: json.RawMessage(`{"skipped":"already sent"}`)}
			return []act{{event: s.own(), want: want}}
		},
		after: isSent(1),
	},
	{
		name:   "a mail server that accepts the email and disconnects before it answers",
		faults: []tap.Fault{{At: tap.AtDot, Do: tap.DropAnswer}},
		acts: func(s *env) []act {
			want := sends(2)(s)
			want.Mail = []harness.MailExpectation{s.mail(2)} // the app cannot know of the first; both are one message to a mail program
			return []act{{event: s.own(), want: want}}
		},
		after: isSent(2),
	},
	{
		name:    "an email that was accepted, which the store could not record",
		arrange: func(s *env) { s.fails(storeFault{recording: 12}) }, // 6 times in the step, 6 in the code after it, each in 3 s of real time
		acts: func(s *env) []act {
			want := sends(1)(s)
			want.Runs[0].Steps[2].Output = json.RawMessage(`{"unrecorded":true}`)
			return []act{{event: s.own(), want: want}}
		},
		after: isSent(1),
	},
}
