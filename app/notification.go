package app

import (
	"time"
	"unicode/utf8"
)

// State is where a notification is on its way.
type State string

// The states of a notification.
const (
	// Pending: the event is still to be sent.
	Pending State = "pending"
	// Dispatched: the server has the event; a run is to send the email.
	Dispatched State = "dispatched"
	// Sent: the mail server has accepted the email. Final.
	Sent State = "sent"
	// Failed: it cannot be sent, for the reason given, until a person mends the cause and requeues it.
	Failed State = "failed"
)

// Notification is the email that a request owes its technician. It is a value: its methods return the next state and
// whether there is one, and whoever calls them saves it by compare-and-set (Update).
type Notification struct {
	State State `json:"state"`
	// Generation numbers, from 1, the dispatches that the server must not take for one another.
	Generation int `json:"generation"`
	// MessageID is the same for every copy of this email, whatever happens.
	MessageID string `json:"messageId"`
	// Attempts counts how often the mail server was about to be given the email.
	Attempts int `json:"attempts"`
	// LastError is what went wrong last, also when all went well later.
	LastError string `json:"lastError,omitempty"`
	// Reason says, for a failed one, why.
	Reason string `json:"reason,omitempty"`
	// Claim is the run that sends the email, if one does.
	Claim *Claim `json:"claim,omitempty"`
	// DispatchedAt is when the server last took the event, SentAt when the mail server accepted the email.
	DispatchedAt time.Time `json:"dispatchedAt,omitzero"`
	SentAt       time.Time `json:"sentAt,omitzero"`
	// NextDispatchAt is when the dispatcher looks at it again. Zero: never, it has come to its end.
	NextDispatchAt time.Time `json:"nextDispatchAt,omitzero"`
	// Version counts the writes; Store.SaveNotification compares it.
	Version int64 `json:"-"`
}

// Claim is one run's hold on a notification.
type Claim struct {
	RunID string    `json:"runId"`
	At    time.Time `json:"at"`
	// Until is when an attempt under this claim is over at the latest, or was. An attempt in flight keeps everybody
	// away, other calls for the same step of the same run included: a call may be delivered twice.
	Until time.Time `json:"until"`
}

func (c *Claim) inFlight(now time.Time) bool { return c != nil && c.Until.After(now) }

// Pace holds the times by which notifications move. All must be positive.
type Pace struct {
	// DispatchLease is how long one process has to send an event before another may send it too, which is harmless.
	DispatchLease time.Duration
	// RedispatchAfter is how long a dispatched notification may stay unfinished before it is taken for lost. Each
	// further generation gets twice the time, up to eightfold, so that a server with a long queue is not buried.
	RedispatchAfter time.Duration
	// SendLease is how long an attempt to send an email may take, the recording of its outcome included.
	SendLease time.Duration
}

// NewNotification returns the notification of a request created now. Its creator has the dispatch lease.
func NewNotification(messageID string, now time.Time, p Pace) Notification {
	return Notification{
		State:          Pending,
		Generation:     1,
		MessageID:      messageID,
		NextDispatchAt: millis(now.Add(p.DispatchLease)),
		Version:        1,
	}
}

// TakeForDispatch takes a due notification for sending its event: the same generation again while it is pending; a
// new one when it was dispatched and did not come to its end, which leaves the old generation's run without a claim.
func (n Notification) TakeForDispatch(now time.Time, p Pace) (Notification, bool) {
	if n.over() || n.NextDispatchAt.After(now) || n.Claim.inFlight(now) {
		return n, false
	}
	// A claim shows that the server had the event, even if nobody lived to record that.
	if n.State == Dispatched || n.Claim != nil {
		n.State = Pending
		n.Generation++
		n.Claim = nil
	}
	n.NextDispatchAt = millis(now.Add(p.DispatchLease))
	return n, true
}

// Dispatch records that the server has taken the event of that generation.
func (n Notification) Dispatch(generation int, now time.Time, p Pace) (Notification, bool) {
	if n.State != Pending || n.Generation != generation {
		return n, false
	}
	n.State = Dispatched
	n.DispatchedAt = millis(now)
	n.NextDispatchAt = later(n.NextDispatchAt, n.lostAt(now, p))
	return n, true
}

// DispatchFailed records that the event could not be sent, and when to try again.
func (n Notification) DispatchFailed(generation int, cause string, retryAt time.Time) (Notification, bool) {
	if n.State != Pending || n.Generation != generation || n.Claim != nil {
		return n, false // in the last case the server has it after all
	}
	n.LastError = clip(cause)
	n.NextDispatchAt = millis(retryAt)
	return n, true
}

// Run identifies who wants to send: a run, and the generation its event named (0: an event not sent by this app,
// which counts as one of the present generation).
type Run struct {
	ID         string
	Generation int
	// ClaimedAt is the Claim.At that this attempt was granted. Zero: it has no claim.
	ClaimedAt time.Time
}

// ClaimResult is the answer to a claim.
type ClaimResult string

// The answers to a claim.
const (
	// Granted: send the email.
	Granted ClaimResult = "granted"
	// AlreadySent, HasFailed, Superseded, HeldByOther: there is nothing to do for this run, for good.
	AlreadySent ClaimResult = "already sent"
	HasFailed   ClaimResult = "the notification has failed and was not requeued"
	Superseded  ClaimResult = "a later dispatch has taken over"
	HeldByOther ClaimResult = "another run is sending it"
	// InFlight: an earlier attempt of this same run may still be talking to the mail server; try after Claim.Until.
	InFlight ClaimResult = "an earlier attempt of this run may still be sending it"
)

// ClaimFor gives the notification to run for one attempt, if it may have it.
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
	// Nobody may start a new generation while this attempt can still succeed.
	n.NextDispatchAt = later(n.Claim.Until, n.lostAt(now, p))
	return n, Granted
}

// Accept records that the mail server has accepted the email. It always wins, whoever else is at work: the email
// is out.
func (n Notification) Accept(now time.Time) (Notification, bool) {
	if n.State == Sent {
		return n, false
	}
	n.State = Sent
	n.SentAt = millis(now)
	n.Reason = ""
	n.Claim = nil
	n.NextDispatchAt = time.Time{}
	return n, true
}

// AttemptFailed records a failure after which run tries again.
func (n Notification) AttemptFailed(run Run, cause string, now time.Time, p Pace) (Notification, bool) {
	if !run.mayReport(n, now) {
		return n, false
	}
	n.LastError = clip(cause)
	if n.Claim != nil {
		claim := *n.Claim
		claim.Until = millis(now)
		n.Claim = &claim
	}
	n.NextDispatchAt = n.lostAt(now, p)
	return n, true
}

// RunOver records a transient failure that was run's last: the notification is due for a new generation after a
// pause, since the old one cannot be at work any more.
func (n Notification) RunOver(run Run, cause string, now time.Time, p Pace) (Notification, bool) {
	if !run.mayReport(n, now) {
		return n, false
	}
	n.State = Dispatched
	n.LastError = clip(cause)
	n.Claim = nil
	n.NextDispatchAt = millis(now.Add(p.pause(n.Generation)))
	return n, true
}

// Fail records that the email cannot be sent for a permanent cause.
func (n Notification) Fail(run Run, reason string, now time.Time) (Notification, bool) {
	if !run.mayReport(n, now) {
		return n, false
	}
	n.State = Failed
	n.LastError = clip(reason)
	n.Reason = clip(reason)
	n.Claim = nil
	n.NextDispatchAt = time.Time{}
	return n, true
}

// Requeue starts a failed notification again, as a new generation. Its caller has the dispatch lease.
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

func (n Notification) over() bool { return n.State == Sent || n.State == Failed }

func (r Run) superseded(n Notification) bool {
	return r.Generation != 0 && r.Generation != n.Generation
}

// mayReport tells whether a failure of r concerns n: not when the email is out already, when a later generation has
// taken over, when another run sends it, or when another attempt of r is just doing so.
func (r Run) mayReport(n Notification, now time.Time) bool {
	if n.over() || r.superseded(n) {
		return false
	}
	return n.Claim == nil || n.Claim.RunID == r.ID && (n.Claim.At.Equal(r.ClaimedAt) || !n.Claim.inFlight(now))
}

// lostAt is when a notification that a run has just been given, or has just worked on, is to be taken for lost.
func (n Notification) lostAt(now time.Time, p Pace) time.Time {
	return millis(now.Add(p.RedispatchAfter << min(n.Generation-1, 3)))
}

// pause is how long a notification rests between a generation that came to nothing and the next one: an eighth of
// RedispatchAfter, doubled with each generation up to the whole.
func (p Pace) pause(generation int) time.Duration {
	return p.RedispatchAfter / 8 << min(generation-1, 3)
}

// millis rounds t to what every store can keep.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// clip bounds a text that comes from another program.
func clip(s string) string {
	const most = 500
	if len(s) <= most {
		return s
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
