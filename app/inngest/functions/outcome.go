package functions

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/textproto"
	"time"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
)

// RecordTimeout is how long a run tries to record that an email was accepted before it leaves that to a later try: a
// third of a delivery's time, but not so little that a busy database looks like one that is away.
func RecordTimeout(sendTimeout time.Duration) time.Duration { return max(sendTimeout/3, 3*time.Second) }

// leaseSlack is what the claim itself may take to be saved, and the whole seconds that the server waits in.
const leaseSlack = 2 * time.Second

// SendLease is how long an attempt to send may take in all.
func SendLease(sendTimeout time.Duration) time.Duration {
	return leaseSlack + sendTimeout + RecordTimeout(sendTimeout)
}

// LadderTime is how long a run can take when every attempt fails: after that, a notification that has not come to its
// end has no run at work. Each of the three steps, and the code after them, is tried 5 times. The server waits 15 s,
// 30 s, 1 min and 2 min between attempts, each with up to 30 s of jitter on top; an attempt may take as long as a claim
// lasts.
func LadderTime(sendTimeout time.Duration) time.Duration {
	const (
		waits  = (15 + 30 + 60 + 120) * time.Second
		jitter = retries * 30 * time.Second
		stages = 4
	)
	return stages * (waits + jitter + (retries+1)*SendLease(sendTimeout))
}

// settled wraps the body of a step so that a failure leaves the notification in the state that it calls for, and the
// server knows whether to call again.
func settled[T any](r *notifyRun, body func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		out, err := body(ctx)
		if err != nil {
			err = r.settle(ctx, err)
		}
		return out, err
	}
}

func (r *notifyRun) settle(ctx context.Context, cause error) error {
	if errors.Is(cause, errInFlight) {
		return cause
	}
	kind, reason := app.Sort(cause)
	if kind == app.BadEvent && r.run.Generation == 0 {
		// Somebody else's event: the request it may name does not suffer from it.
		r.log.Warn("bad event", "error", cause)
		return inngestgo.NoRetryError(cause)
	}

	now := time.Now()
	var next func(app.Notification) (app.Notification, bool)
	switch last := r.attempt >= retries; {
	case kind != app.Transient:
		next = func(n app.Notification) (app.Notification, bool) { return n.Fail(r.run, reason, now) }
	case last:
		next = func(n app.Notification) (app.Notification, bool) { return n.RunOver(r.run, cause.Error(), now, r.Pace) }
	default:
		next = func(n app.Notification) (app.Notification, bool) {
			return n.AttemptFailed(r.run, cause.Error(), now, r.Pace)
		}
	}
	r.log.Warn("attempt failed", "permanent", kind != app.Transient, "error", cause)

	recordErr := r.note(ctx, next)
	switch {
	case kind == app.Transient && recordErr != nil:
		// Nothing is lost: the dispatcher looks at the notification again when its time has passed.
		r.log.Warn("could not record the failure", "error", recordErr)
		return cause
	case kind == app.Transient:
		return cause
	case recordErr != nil:
		// With retries, so that a later attempt finds the same cause and a store that takes the record.
		return fmt.Errorf("%w (and this could not be recorded: %w)", cause, recordErr)
	}
	return inngestgo.NoRetryError(cause)
}

// note applies a change to the notification of the run's request, if there is such a request.
func (r *notifyRun) note(ctx context.Context, change func(app.Notification) (app.Notification, bool)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout(r.SendTimeout))
	defer cancel()
	request, err := r.Store.Request(ctx, r.event.RequestID)
	if errors.Is(err, app.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, _, err = app.Update(ctx, r.Store, request, change)
	return err
}

// sortSendError tells what a failed delivery means for the notification.
func sortSendError(err error) error {
	var failed *email.SendError
	if err == nil || !errors.As(err, &failed) || !failed.Permanent {
		return err
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return app.Permanent(app.Undeliverable, fmt.Sprintf("the mail server refused the email for good (%s): %d %s",
			failed.Phase, reply.Code, reply.Msg), err)
	}
	return app.Permanent(app.Undeliverable, "the email cannot be sent: "+failed.Err.Error(), err)
}

// persist calls f until it succeeds or ctx ends, and returns its last error.
func persist(ctx context.Context, f func() error) error {
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func address(t TechnicianEmail) mail.Address { return mail.Address{Name: t.Name, Address: t.Email} }
