package functions

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"time"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
)

// recordTimeout bounds the recording of an outcome: a third of a delivery's time, but at least 3 s, so that a busy
// database does not count as unreachable.
func recordTimeout(sendTimeout time.Duration) time.Duration { return max(sendTimeout/3, 3*time.Second) }

// leaseSlack covers the time to save the claim, and the server's rounding of waits to whole seconds.
const leaseSlack = 2 * time.Second

// SendLease returns the longest that an attempt to send the email may take, given the time limit of a delivery.
func SendLease(sendTimeout time.Duration) time.Duration {
	return leaseSlack + sendTimeout + recordTimeout(sendTimeout)
}

// RetrySchedule returns the longest that a run can take if every attempt fails, given the time limit of a delivery.
// After that no run works on the notification. Each of the three steps, and the code after them, has maxAttempts
// attempts of at most SendLease each. Between attempts the server waits 15 s, 30 s, 1 min and 2 min, plus up to 30 s of
// jitter each.
func RetrySchedule(sendTimeout time.Duration) time.Duration {
	const (
		waits  = (15 + 30 + 60 + 120) * time.Second
		jitter = (maxAttempts - 1) * 30 * time.Second
		stages = 4
	)
	return stages * (waits + jitter + maxAttempts*SendLease(sendTimeout))
}

// observed wraps the body of a step, so that it is reported to the observer.
func observed[T any](r *notifyRun, id string, body func(context.Context) (T, error)) func(context.Context) (T, error) {
	if r.Observer == nil {
		return body
	}
	return func(ctx context.Context) (T, error) {
		ctx, end := r.Observer.Step(ctx, Step{
			ID: id, RunID: r.run.ID, RequestID: r.event.RequestID, Attempt: r.attempt, TraceParent: r.event.TraceParent,
		})
		out, err := body(ctx)
		end(err)
		return out, err
	}
}

// recordingFailure wraps the body of a step. If the body fails, the wrapper records the failure in the notification and
// returns an error that tells the server whether to retry.
func recordingFailure[T any](r *notifyRun, id string, body func(context.Context) (T, error)) func(context.Context) (T, error) {
	body = observed(r, id, body)
	return func(ctx context.Context) (T, error) {
		out, err := body(ctx)
		if err != nil {
			err = r.recordFailure(ctx, err)
		}
		return out, err
	}
}

func (r *notifyRun) recordFailure(ctx context.Context, cause error) error {
	if errors.Is(cause, errInFlight) {
		return cause
	}
	kind, reason := app.Classify(cause)
	if kind == app.BadEvent && r.run.Generation == 0 {
		// Another program sent the event: the notification of the request that it names stays as it is.
		r.log.Warn("bad event", "error", cause)
		return inngestgo.NoRetryError(cause)
	}

	r.log.Warn("attempt failed", "permanent", kind != app.Transient, "error", cause)
	now := time.Now()
	changed, recordErr := r.updateNotification(ctx, func(n app.Notification) (app.Notification, bool) {
		switch last := r.attempt >= maxAttempts; {
		case kind != app.Transient:
			return n.Fail(r.run, reason, now)
		case last:
			return n.RunOver(r.run, cause.Error(), now, r.Pace)
		default:
			return n.AttemptFailed(r.run, cause.Error(), now, r.Pace)
		}
	})
	if changed && kind != app.Transient && r.Observer != nil {
		r.Observer.Failed()
	}
	switch {
	case kind == app.Transient:
		if recordErr != nil {
			// Harmless: the dispatcher looks at the notification again when it counts as lost.
			r.log.Warn("could not record the failure", "error", recordErr)
		}
		return cause
	case recordErr != nil:
		// Retried: the next attempt fails for the same cause and may be able to record it.
		return fmt.Errorf("%w (and this could not be recorded: %w)", cause, recordErr)
	}
	return inngestgo.NoRetryError(cause)
}

// updateNotification applies change to the notification of the request that the event names, if it exists, and reports
// whether that changed it.
func (r *notifyRun) updateNotification(ctx context.Context, change app.Change) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout(r.SendTimeout))
	defer cancel()
	_, changed, err = r.update(ctx, change)
	if errors.Is(err, app.ErrNotFound) {
		return false, nil
	}
	return changed, err
}

// update applies change to the notification of the request that the event names, and returns the request as stored, and
// whether that changed it. Without such a request the error wraps app.ErrNotFound.
func (r *notifyRun) update(ctx context.Context, change app.Change) (request app.Request, changed bool, err error) {
	if r.stored == nil {
		request, err := r.Store.Request(ctx, r.event.RequestID)
		if err != nil {
			return app.Request{}, false, fmt.Errorf("read the request: %w", err)
		}
		r.stored = &request
	}
	request, changed, err = app.Update(ctx, r.Store, *r.stored, change)
	if err == nil {
		r.stored = &request
	}
	return request, changed, err
}

// classifySendError makes a permanent failure of a delivery an undeliverable notification.
func classifySendError(err error) error {
	failed, ok := errors.AsType[*email.SendError](err)
	if !ok || !failed.Permanent {
		return err
	}
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return app.Permanent(app.Undeliverable, fmt.Sprintf("the mail server refused the email for good (%s): %d %s",
			failed.Phase, reply.Code, reply.Msg), err)
	}
	return app.Permanent(app.Undeliverable, "the email cannot be sent: "+failed.Err.Error(), err)
}

// retry calls f until it succeeds or ctx ends, and returns its last error.
func retry(ctx context.Context, f func() error) error {
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
