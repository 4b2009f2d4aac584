package app

import (
	"strings"
	"time"
)

// State is the state of a notification.
type State string

// The states of a notification.
const (
	// Pending: the event has yet to be sent.
	Pending State = "pending"
	// Dispatched: the Inngest server has the event; a run will send the email.
	Dispatched State = "dispatched"
	// Sent: the mail server has accepted the email. Final.
	Sent State = "sent"
	// Failed: the email cannot be sent, for the given reason. Final until a person fixes the cause and requeues it.
	Failed State = "failed"
)

// States are all states of a notification.
var States = []State{Pending, Dispatched, Sent, Failed}

// Notification is the state of the email to a request's technician. It is a value: its methods return the next state,
// and false if there is none. Update saves the next state by compare-and-set. The API and the database have its fields
// under the same names.
type Notification struct {
	State State `json:"state" bson:"state"`
	// Generation is part of the event's idempotency key. It starts at 1.
	Generation int `json:"generation" bson:"generation"`
	// MessageID is the same for every copy of this email.
	MessageID string `json:"messageId" bson:"messageId"`
	// Attempts counts the claims granted: attempts to send the email.
	Attempts int `json:"attempts" bson:"attempts"`
	// LastError is the most recent error. It stays after a later success.
	LastError string `json:"lastError,omitempty" bson:"lastError,omitempty"`
	// Reason says why the email cannot be sent. Empty unless State is Failed.
	Reason string `json:"reason,omitempty" bson:"reason,omitempty"`
	// Claim is held by the run that sends the email. Nil: no run has claimed it.
	Claim *Claim `json:"claim,omitempty" bson:"claim,omitempty"`
	// EventID is the server's id of the dispatched event, while it is not known whether a run has begun. Empty: one has, or
	// the event is not dispatched.
	EventID string `json:"eventId,omitempty" bson:"eventId,omitempty"`
	// DispatchedAt is when the server last accepted the event, SentAt when the mail server accepted the email.
	DispatchedAt time.Time `json:"dispatchedAt,omitzero" bson:"dispatchedAt,omitempty"`
	SentAt       time.Time `json:"sentAt,omitzero" bson:"sentAt,omitempty"`
	// NextDispatchAt is when the dispatcher looks at the notification again. Zero: never, its state is final.
	NextDispatchAt time.Time `json:"nextDispatchAt,omitzero" bson:"nextDispatchAt,omitempty"`
	// Version counts the writes; Store.SaveNotification compares it.
	Version int64 `json:"-" bson:"version"`
}

// Claim gives one run the exclusive right to send the email.
type Claim struct {
	RunID string    `json:"runId" bson:"runId"`
	At    time.Time `json:"at" bson:"at"`
	// Until is when the current attempt ends at the latest, or when the last one ended. Until then the notification
	// cannot be claimed again, not even by the same run, since Inngest may deliver a call twice.
	Until time.Time `json:"until" bson:"until"`
}

func (c *Claim) inFlight(now time.Time) bool { return c != nil && c.Until.After(now) }

// Pace holds the durations that control notifications. All must be positive.
type Pace struct {
	// DispatchLease is how long one process has to send an event. After that another process may send it too.
	DispatchLease time.Duration
	// RedispatchAfter is how long a dispatched notification may stay unfinished before it counts as lost. Each further
	// generation doubles the time, up to eightfold, so that a server with a long queue gets fewer events.
	RedispatchAfter time.Duration
	// ConfirmAfter is how long a dispatched notification may stay without a run that has begun before the dispatcher asks
	// the server for one. It grows as RedispatchAfter does. Not less than RedispatchAfter: the server is never asked.
	ConfirmAfter time.Duration
	// SendLease is the longest that an attempt to send the email may take, the recording of its outcome included.
	SendLease time.Duration
}

// NewNotification returns the notification of a request created now. The process that creates it holds the dispatch
// lease.
func NewNotification(messageID string, now time.Time, p Pace) Notification {
	return Notification{
		State:          Pending,
		Generation:     1,
		MessageID:      messageID,
		NextDispatchAt: millis(now.Add(p.DispatchLease)),
		Version:        1,
	}
}

// TakeForDispatch gives the caller the dispatch lease of a due notification. A pending notification keeps its
// generation. One that was dispatched but not finished gets a new generation and loses its claim. But if no run has begun
// and it does not count as lost yet, it stays dispatched: the caller asks the server whether the event of EventID has a
// run, and records the answer with Begun, NotBegun or NotConfirmed.
func (n Notification) TakeForDispatch(now time.Time, p Pace) (Notification, bool) {
	if n.final() || n.NextDispatchAt.After(now) || n.Claim.inFlight(now) {
		return n, false
	}
	// A claim proves that the server had the event, even if the dispatch was never recorded.
	unconfirmed := n.EventID != "" && now.Before(n.lostAt(n.DispatchedAt, p))
	if n.State == Dispatched && !unconfirmed || n.Claim != nil {
		n = n.nextGeneration()
	}
	n.NextDispatchAt = millis(now.Add(p.DispatchLease))
	return n, true
}

// nextGeneration returns a notification whose event is to be sent again. Runs of earlier events may not send the email.
func (n Notification) nextGeneration() Notification {
	n.State = Pending
	n.Generation++
	n.Claim = nil
	n.EventID = ""
	return n
}

// Dispatch records that the server has accepted the event of that generation under the given id.
func (n Notification) Dispatch(generation int, eventID string, now time.Time, p Pace) (Notification, bool) {
	if n.State != Pending || n.Generation != generation {
		return n, false
	}
	n.State = Dispatched
	n.DispatchedAt = millis(now)
	if n.Claim == nil {
		n.EventID = eventID
	}
	n.NextDispatchAt = later(n.NextDispatchAt, n.confirmAt(now, p))
	return n, true
}

// Begun records that the server has a run of the event. Inngest retries it; only when it counts as lost is the
// notification due again.
func (n Notification) Begun(eventID string, p Pace) (Notification, bool) {
	if !n.awaits(eventID) {
		return n, false
	}
	n.EventID = ""
	n.NextDispatchAt = n.lostAt(n.DispatchedAt, p)
	return n, true
}

// NotBegun records that the server has no run of the event, and starts a new generation. The caller holds its dispatch
// lease. If a run of the event does begin later, it cannot claim the notification.
func (n Notification) NotBegun(eventID string, now time.Time, p Pace) (Notification, bool) {
	if !n.awaits(eventID) {
		return n, false
	}
	n = n.nextGeneration()
	n.NextDispatchAt = millis(now.Add(p.DispatchLease))
	return n, true
}

// NotConfirmed records that the server could not be asked for a run of the event. It is asked again.
func (n Notification) NotConfirmed(eventID string, now time.Time, p Pace) (Notification, bool) {
	if !n.awaits(eventID) {
		return n, false
	}
	n.NextDispatchAt = n.confirmAt(now, p)
	return n, true
}

func (n Notification) awaits(eventID string) bool { return n.EventID == eventID && eventID != "" }

// DispatchFailed records that the event could not be sent. The notification is due again at retryAt.
func (n Notification) DispatchFailed(generation int, cause string, retryAt time.Time) (Notification, bool) {
	if n.State != Pending || n.Generation != generation || n.Claim != nil {
		return n, false // a claim proves that the server has the event
	}
	n.LastError = causeText(cause)
	n.NextDispatchAt = millis(retryAt)
	return n, true
}

// Run identifies the run that claims or reports.
type Run struct {
	ID string
	// Generation is that of the run's event. Zero: another program sent the event, which then counts as one of the
	// current generation.
	Generation int
	// ClaimedAt is the Claim.At that this attempt was granted. Zero: it has no claim.
	ClaimedAt time.Time
}

// ClaimResult is the result of a claim.
type ClaimResult string

// The results of a claim.
const (
	// Granted: send the email.
	Granted ClaimResult = "granted"
	// AlreadySent, HasFailed, Superseded, HeldByOther: this run must not send the email, now or later.
	AlreadySent ClaimResult = "already sent"
	HasFailed   ClaimResult = "the notification has failed and was not requeued"
	Superseded  ClaimResult = "a later dispatch has taken over"
	HeldByOther ClaimResult = "another run is sending it"
	// InFlight: an earlier attempt of this run may still be sending the email. Try again after Claim.Until.
	InFlight ClaimResult = "an earlier attempt of this run may still be sending it"
)

// ClaimFor claims the notification for one attempt of run. The notification changes only if the result is Granted.
func (n Notification) ClaimFor(run Run, now time.Time, p Pace) (Notification, ClaimResult) {
	switch {
	case n.State == Sent:
		return n, AlreadySent
	case run.superseded(n):
		return n, Superseded
	case n.State == Failed:
		return n, HasFailed
	case n.Claim != nil && n.Claim.RunID != run.ID:
		return n, HeldByOther
	case n.Claim.inFlight(now):
		return n, InFlight
	}
	n.Claim = &Claim{RunID: run.ID, At: millis(now), Until: millis(now.Add(p.SendLease))}
	n.Attempts++
	n.EventID = ""
	// No new generation may start while this attempt can still succeed.
	n.NextDispatchAt = later(n.Claim.Until, n.lostAt(now, p))
	return n, Granted
}

// Accept records that the mail server has accepted the email. It succeeds in every state but Sent, whichever run holds
// the claim: the email is out.
func (n Notification) Accept(now time.Time) (Notification, bool) {
	if n.State == Sent {
		return n, false
	}
	n.State = Sent
	n.SentAt = millis(now)
	n.Reason = ""
	n.Claim = nil
	n.EventID = ""
	n.NextDispatchAt = time.Time{}
	return n, true
}

// AttemptFailed records a transient failure that Inngest retries. The run keeps its claim, and may claim again at once.
func (n Notification) AttemptFailed(run Run, cause string, now time.Time, p Pace) (Notification, bool) {
	if !run.mayReport(n, now) {
		return n, false
	}
	n.LastError = causeText(cause)
	if n.Claim != nil {
		claim := *n.Claim
		claim.Until = millis(now)
		n.Claim = &claim
	}
	n.EventID = ""
	n.NextDispatchAt = n.lostAt(now, p)
	return n, true
}

// RunOver records the transient failure of the run's last attempt. The run cannot act any more, so the notification is
// due for a new generation after a pause: an eighth of the time after which the current generation counts as lost.
func (n Notification) RunOver(run Run, cause string, now time.Time, p Pace) (Notification, bool) {
	if !run.mayReport(n, now) {
		return n, false
	}
	n.State = Dispatched
	n.LastError = causeText(cause)
	n.Claim = nil
	n.EventID = ""
	n.NextDispatchAt = millis(now.Add(p.lifetime(n.Generation) / 8))
	return n, true
}

// Fail records a permanent failure.
func (n Notification) Fail(run Run, reason string, now time.Time) (Notification, bool) {
	if !run.mayReport(n, now) {
		return n, false
	}
	n.State = Failed
	n.LastError = causeText(reason)
	n.Reason = causeText(reason)
	n.Claim = nil
	n.EventID = ""
	n.NextDispatchAt = time.Time{}
	return n, true
}

// Requeue starts a new generation of a failed notification. The caller holds the dispatch lease.
func (n Notification) Requeue(now time.Time, p Pace) (Notification, bool) {
	if n.State != Failed {
		return n, false
	}
	n.State = Pending
	n.Generation++
	n.Reason = ""
	n.NextDispatchAt = millis(now.Add(p.DispatchLease))
	return n, true
}

func (n Notification) final() bool { return n.State == Sent || n.State == Failed }

func (r Run) superseded(n Notification) bool {
	return r.Generation != 0 && r.Generation != n.Generation
}

// mayReport reports whether r may record a failure: n is not final, no later generation has started, and neither another
// run nor another attempt of r is sending the email.
func (r Run) mayReport(n Notification, now time.Time) bool {
	if n.final() || r.superseded(n) {
		return false
	}
	return n.Claim == nil || n.Claim.RunID == r.ID && (n.Claim.At.Equal(r.ClaimedAt) || !n.Claim.inFlight(now))
}

// lostAt returns when a notification counts as lost if no run works on it after now.
func (n Notification) lostAt(now time.Time, p Pace) time.Time {
	return millis(now.Add(p.lifetime(n.Generation)))
}

// confirmAt returns when the server is to be asked for a run of the dispatched event, or, if that comes first, when the
// notification counts as lost: then it is dispatched again without asking.
func (n Notification) confirmAt(now time.Time, p Pace) time.Time {
	lost := n.lostAt(n.DispatchedAt, p)
	if at := millis(now.Add(p.ConfirmAfter * p.growth(n.Generation))); n.EventID != "" && at.Before(lost) {
		return at
	}
	return lost
}

// lifetime returns how long a generation may stay unfinished before it counts as lost.
func (p Pace) lifetime(generation int) time.Duration {
	return p.RedispatchAfter * p.growth(generation)
}

// growth returns by how much a generation's times are longer than those of the first.
func (Pace) growth(generation int) time.Duration { return 1 << min(generation-1, 3) }

// millis truncates t to milliseconds, the precision of every store.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// causeText limits the text of an error, which may come from another program.
func causeText(s string) string {
	const limit = 500
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
