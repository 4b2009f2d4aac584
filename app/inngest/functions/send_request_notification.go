package functions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
)

// SendRequestNotificationID is the id of the function, without the app's prefix.
const SendRequestNotificationID = "send-request-notification"

// The ids of its steps. The server saves outputs under them: a renamed step runs again in unfinished runs.
const (
	StepFetchRequestDetails = "fetch-request-details"
	StepGetTechnicianEmail  = "get-technician-email"
	StepSendEmail           = "send-email"
)

// maxAttempts is how often a step is tried: the server's default, stated here because the last attempt returns the
// notification to the dispatcher.
const maxAttempts = 5

// SendRequestNotification emails the assigned technician when a request is created.
func SendRequestNotification(c inngestgo.Client, d Deps) (inngestgo.ServableFunction, error) {
	return inngestgo.CreateFunction(c,
		inngestgo.FunctionOpts{
			ID:      SendRequestNotificationID,
			Name:    "Send request notification",
			Retries: inngestgo.IntPtr(maxAttempts - 1),
		},
		inngestgo.EventTrigger(app.EventRequestCreated, nil),
		func(ctx context.Context, in inngestgo.Input[app.RequestCreated]) (any, error) {
			defer d.Track()()
			return newNotifyRun(d, in).do(ctx)
		},
	)
}

// RequestDetails is the output of fetch-request-details. It omits the description, which may be long.
type RequestDetails struct {
	RequestID    string       `json:"requestId"`
	TechnicianID string       `json:"technicianId"`
	Subject      string       `json:"subject"`
	Type         app.Type     `json:"type"`
	Priority     app.Priority `json:"priority"`
	Equipment    string       `json:"equipment"`
	Requester    string       `json:"requester"`
}

// TechnicianEmail is the output of get-technician-email.
type TechnicianEmail struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Delivery is the output of send-email, and of the function.
type Delivery struct {
	RequestID string `json:"requestId"`
	MessageID string `json:"messageId"`
	To        string `json:"to"`
	// Skipped says why this run did not send the email. Empty: it sent the email.
	Skipped string `json:"skipped,omitempty"`
	// SentAt is when the mail server accepted the email.
	SentAt time.Time `json:"sentAt,omitzero"`
	// Unrecorded: the mail server accepted the email, but this could not be stored. The step succeeds nevertheless, so
	// that no attempt sends a copy. The run stores the acceptance after the step.
	Unrecorded bool `json:"unrecorded,omitempty"`
}

// notifyRun is one call of the function by the server.
type notifyRun struct {
	Deps
	run     app.Run
	event   app.RequestCreated
	attempt int // of the step that is tried, from 1
	log     *slog.Logger

	// stored is the request as this call has last read or written it. Nil: it has not yet. A change to its notification begins
	// with it, which saves a read; if it has changed since, app.Update reads it again.
	stored *app.Request
}

func newNotifyRun(d Deps, in inngestgo.Input[app.RequestCreated]) *notifyRun {
	key := "" // the server hands over the idempotency key as the event's id
	if in.Event.ID != nil {
		key = *in.Event.ID
	}
	attempt := in.InputCtx.Attempt + 1
	return &notifyRun{
		Deps:    d,
		run:     app.Run{ID: in.InputCtx.RunID, Generation: app.EventGeneration(key, in.Event.Data.RequestID)},
		event:   in.Event.Data,
		attempt: attempt,
		log:     d.Logger.With("run", in.InputCtx.RunID, "request", in.Event.Data.RequestID, "attempt", attempt),
	}
}

func (r *notifyRun) do(ctx context.Context) (any, error) {
	details, err := step.Run(ctx, StepFetchRequestDetails, recordingFailure(r, StepFetchRequestDetails, r.fetchDetails))
	if err != nil {
		return nil, err
	}
	technician, err := step.Run(ctx, StepGetTechnicianEmail, recordingFailure(r, StepGetTechnicianEmail, func(ctx context.Context) (TechnicianEmail, error) {
		return r.technician(ctx, details.TechnicianID)
	}))
	if err != nil {
		return nil, err
	}
	delivery, err := step.Run(ctx, StepSendEmail, recordingFailure(r, StepSendEmail, func(ctx context.Context) (Delivery, error) {
		return r.send(ctx, details, technician)
	}))
	if err != nil {
		return nil, err
	}
	if delivery.Unrecorded {
		// The step is saved, so retries of this code send no copy.
		if err := r.recordAcceptance(ctx, delivery); err != nil {
			return nil, err
		}
	}
	return delivery, nil
}

func (r *notifyRun) fetchDetails(ctx context.Context) (RequestDetails, error) {
	if err := r.event.Validate(); err != nil {
		return RequestDetails{}, app.Permanent(app.BadEvent, err.Error(), nil)
	}
	request, err := r.Store.Request(ctx, r.event.RequestID)
	if errors.Is(err, app.ErrNotFound) {
		return RequestDetails{}, r.noRequest()
	}
	if err != nil {
		return RequestDetails{}, fmt.Errorf("read the request: %w", err)
	}
	r.stored = &request
	if request.TechnicianID != r.event.TechnicianID {
		return RequestDetails{}, app.Permanent(app.BadEvent, fmt.Sprintf(
			"the event names technician %s, but request %s is assigned to %s", r.event.TechnicianID, request.ID, request.TechnicianID), nil)
	}
	equipment, err := r.Store.Equipment(ctx, request.EquipmentID)
	if equipment.Name, err = nameOr(equipment.Name, "unknown equipment", request.EquipmentID, err); err != nil {
		return RequestDetails{}, fmt.Errorf("read the equipment: %w", err)
	}
	requester, err := r.Store.User(ctx, request.RequestedByID)
	if requester.Name, err = nameOr(requester.Name, "unknown person", request.RequestedByID, err); err != nil {
		return RequestDetails{}, fmt.Errorf("read the requester: %w", err)
	}
	return RequestDetails{
		RequestID:    request.ID,
		TechnicianID: request.TechnicianID,
		Subject:      request.Subject,
		Type:         request.Type,
		Priority:     request.Priority,
		Equipment:    equipment.Name,
		Requester:    requester.Name,
	}, nil
}

// noRequest is the error of a run whose request does not exist, or not any more.
func (r *notifyRun) noRequest() error {
	return app.Permanent(app.BadEvent, "there is no request "+r.event.RequestID, nil)
}

// nameOr returns name, or a placeholder if err is app.ErrNotFound: the technician is notified even when the equipment or
// the requester has been deleted.
func nameOr(name, instead, id string, err error) (string, error) {
	if errors.Is(err, app.ErrNotFound) {
		return fmt.Sprintf("%s (%s)", instead, id), nil
	}
	return name, err
}

func (r *notifyRun) technician(ctx context.Context, id string) (TechnicianEmail, error) {
	user, err := r.Store.User(ctx, id)
	if errors.Is(err, app.ErrNotFound) {
		return TechnicianEmail{}, app.Permanent(app.Undeliverable, fmt.Sprintf("technician %s does not exist", id), nil)
	}
	if err != nil {
		return TechnicianEmail{}, fmt.Errorf("read the technician: %w", err)
	}
	address, err := user.Address()
	if err != nil {
		return TechnicianEmail{}, app.Permanent(app.Undeliverable, err.Error(), nil)
	}
	return TechnicianEmail{Name: address.Name, Email: address.Address}, nil
}

// send claims the notification, sends the email and records its acceptance. An attempt that finds the record sends
// nothing.
func (r *notifyRun) send(ctx context.Context, details RequestDetails, technician TechnicianEmail) (Delivery, error) {
	request, claim, err := r.claim(ctx)
	if err != nil {
		return Delivery{}, err
	}
	if claim == app.HasFailed && r.run.Generation != 0 {
		// An earlier attempt of this run recorded it, and its answer did not reach Inngest.
		return Delivery{}, app.Permanent(app.Undeliverable, request.Notification.Reason, nil)
	}
	delivery := Delivery{RequestID: request.ID, MessageID: request.Notification.MessageID, To: technician.Email}
	if claim != app.Granted {
		r.log.Info("not sending the email", "reason", string(claim))
		delivery.Skipped = string(claim)
		return delivery, nil
	}

	if err := r.deliver(ctx, request, details, technician); err != nil {
		return Delivery{}, err
	}
	delivery.SentAt = time.Now().UTC().Truncate(time.Millisecond)
	r.log.Info("email accepted by the mail server", "messageId", delivery.MessageID)
	if err := r.recordAcceptance(ctx, delivery); err != nil {
		r.log.Error("could not store that the email was accepted; trying again after the step", "error", err)
		delivery.Unrecorded = true
	}
	return delivery, nil
}

// errInFlight: another attempt is sending the email. It is not recorded as a failure; that attempt records its outcome.
var errInFlight = errors.New(string(app.InFlight))

func (r *notifyRun) claim(ctx context.Context) (app.Request, app.ClaimResult, error) {
	var result app.ClaimResult
	request, _, err := r.update(ctx, func(n app.Notification) (app.Notification, bool) {
		n, result = n.ClaimFor(r.run, time.Now(), r.Pace)
		return n, result == app.Granted
	})
	if errors.Is(err, app.ErrNotFound) {
		return app.Request{}, "", r.noRequest()
	}
	if err != nil {
		return app.Request{}, "", fmt.Errorf("claim the notification: %w", err)
	}
	if r.Observer != nil {
		r.Observer.Claim(result)
	}
	if result == app.InFlight {
		// A second later, because the server waits in whole seconds.
		retryAt := request.Notification.Claim.Until.Add(time.Second)
		return app.Request{}, "", inngestgo.RetryAtError(errInFlight, retryAt)
	}
	if result == app.Granted {
		r.run.ClaimedAt = request.Notification.Claim.At
	}
	return request, result, nil
}

// deliver sends the email to the mail server. It continues if the Inngest server hangs up, since an interrupted delivery
// may leave a copy, but stops early enough to record the outcome before the claim ends.
func (r *notifyRun) deliver(ctx context.Context, request app.Request, details RequestDetails, technician TechnicianEmail) error {
	message, err := email.Render(email.Notification{
		To:           mail.Address{Name: technician.Name, Address: technician.Email},
		RequestID:    request.ID,
		Subject:      request.Subject,
		Type:         string(request.Type),
		Priority:     string(request.Priority),
		Equipment:    details.Equipment,
		Requester:    details.Requester,
		Technician:   technician.Name,
		ScheduledFor: request.ScheduledFor,
		TimeZone:     r.TimeZone,
		Description:  request.Description,
		URL:          r.Links.Page(request.ID),
		MessageID:    request.Notification.MessageID,
		RunID:        r.run.ID,
	}, r.From)
	if err != nil {
		return app.Permanent(app.Undeliverable, "the email could not be written: "+err.Error(), err)
	}

	deadline := time.Now().Add(r.SendTimeout)
	if latest := request.Notification.Claim.Until.Add(-recordTimeout(r.SendTimeout)); deadline.After(latest) {
		deadline = latest // saving the claim was slow
	}
	limit := fmt.Errorf("not delivered within %v", r.SendTimeout)
	ctx, cancel := context.WithDeadlineCause(context.WithoutCancel(ctx), deadline, limit)
	defer cancel()
	return classifySendError(r.Mailer.Send(ctx, message))
}

// recordAcceptance stores that the mail server accepted the email. It retries until the claim is about to end.
func (r *notifyRun) recordAcceptance(ctx context.Context, delivery Delivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout(r.SendTimeout))
	defer cancel()
	return retry(ctx, func() error {
		_, _, err := r.update(ctx, func(n app.Notification) (app.Notification, bool) { return n.Accept(delivery.SentAt) })
		if errors.Is(err, app.ErrNotFound) {
			return nil // deleted since: there is no record to make
		}
		return err
	})
}
