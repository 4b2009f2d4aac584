package functions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
)

// SendRequestNotificationID is the id of the function, without the app's.
const SendRequestNotificationID = "send-request-notification"

// The ids of its steps. The server keeps outputs under them: renaming one makes unfinished runs do it again.
const (
	StepFetchRequestDetails = "fetch-request-details"
	StepGetTechnicianEmail  = "get-technician-email"
	StepSendEmail           = "send-email"
)

// retries is how often the server calls again after a failure, besides the first call. It is the server's default,
// stated because the last attempt does what no other does: it gives the notification back to the dispatcher.
const retries = 4

// SendRequestNotification emails the assigned technician when a request is created.
func SendRequestNotification(c inngestgo.Client, d Deps) (inngestgo.ServableFunction, error) {
	return inngestgo.CreateFunction(c,
		inngestgo.FunctionOpts{
			ID:      SendRequestNotificationID,
			Name:    "Send request notification",
			Retries: inngestgo.IntPtr(retries),
		},
		inngestgo.EventTrigger(app.EventRequestCreated, nil),
		func(ctx context.Context, in inngestgo.Input[app.RequestCreated]) (any, error) {
			return newNotifyRun(d, in).do(ctx)
		},
	)
}

// RequestDetails is the output of fetch-request-details. The description stays in the store: it may be long.
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
	// Skipped says why this run sent nothing. Empty: it sent the email.
	Skipped string `json:"skipped,omitempty"`
	// SentAt is when the mail server accepted the email.
	SentAt time.Time `json:"sentAt,omitzero"`
	// Unrecorded: the mail server accepted the email, but the store could not be told. The step has succeeded all the
	// same, so that nothing sends a copy, and the store is told after it.
	Unrecorded bool `json:"unrecorded,omitempty"`
}

// notifyRun is one call of the function: one attempt of one run.
type notifyRun struct {
	Deps
	run     app.Run
	event   app.RequestCreated
	attempt int // from 0
	log     *slog.Logger
}

func newNotifyRun(d Deps, in inngestgo.Input[app.RequestCreated]) *notifyRun {
	eventID := ""
	if in.Event.ID != nil {
		eventID = *in.Event.ID
	}
	return &notifyRun{
		Deps:    d,
		run:     app.Run{ID: in.InputCtx.RunID, Generation: app.EventGeneration(eventID, in.Event.Data.RequestID)},
		event:   in.Event.Data,
		attempt: in.InputCtx.Attempt,
		log:     d.Logger.With("run", in.InputCtx.RunID, "request", in.Event.Data.RequestID, "attempt", in.InputCtx.Attempt+1),
	}
}

func (r *notifyRun) do(ctx context.Context) (any, error) {
	details, err := step.Run(ctx, StepFetchRequestDetails, settled(r, r.fetchDetails))
	if err != nil {
		return nil, err
	}
	technician, err := step.Run(ctx, StepGetTechnicianEmail, settled(r, func(ctx context.Context) (TechnicianEmail, error) {
		return r.technician(ctx, details.TechnicianID)
	}))
	if err != nil {
		return nil, err
	}
	delivery, err := step.Run(ctx, StepSendEmail, settled(r, func(ctx context.Context) (Delivery, error) {
		return r.send(ctx, details, technician)
	}))
	if err != nil {
		return nil, err
	}
	if delivery.Unrecorded {
		// The step is saved, so this may be tried as often as the server calls, without sending a copy.
		if err := r.record(ctx, delivery); err != nil {
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
		return RequestDetails{}, app.Permanent(app.BadEvent, fmt.Sprintf("there is no request %s", r.event.RequestID), nil)
	}
	if err != nil {
		return RequestDetails{}, fmt.Errorf("read the request: %w", err)
	}
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

// nameOr puts words in the place of a name that is no longer in the store: the technician should hear of the request
// all the same.
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

// send claims the notification, sends the email and records that it was accepted, all in one step: an attempt that
// finds the record sends nothing.
func (r *notifyRun) send(ctx context.Context, details RequestDetails, technician TechnicianEmail) (Delivery, error) {
	request, claim, err := r.claim(ctx)
	if err != nil {
		return Delivery{}, err
	}
	delivery := Delivery{RequestID: request.ID, MessageID: request.Notification.MessageID, To: technician.Email}
	if claim != app.Granted {
		r.log.Info("nothing to send", "because", string(claim))
		delivery.Skipped = string(claim)
		return delivery, nil
	}

	if err := r.deliver(ctx, request, details, technician); err != nil {
		return Delivery{}, err
	}
	delivery.SentAt = time.Now().UTC().Truncate(time.Millisecond)
	r.log.Info("email accepted by the mail server", "messageId", delivery.MessageID)
	if err := r.record(ctx, delivery); err != nil {
		r.log.Error("email was accepted, but the store could not be told; trying again after the step", "error", err)
		delivery.Unrecorded = true
	}
	return delivery, nil
}

// errInFlight is no failure of this attempt's own; the one it waits for records its outcome itself.
var errInFlight = errors.New(string(app.InFlight))

func (r *notifyRun) claim(ctx context.Context) (app.Request, app.ClaimResult, error) {
	request, err := r.Store.Request(ctx, r.event.RequestID)
	if err != nil {
		return app.Request{}, "", fmt.Errorf("read the request: %w", err)
	}
	var result app.ClaimResult
	request, _, err = app.Update(ctx, r.Store, request, func(n app.Notification) (app.Notification, bool) {
		n, result = n.ClaimFor(r.run, time.Now(), r.Pace)
		return n, result == app.Granted
	})
	if err != nil {
		return app.Request{}, "", fmt.Errorf("claim the notification: %w", err)
	}
	if result == app.InFlight {
		// The header that tells the server when to call has whole seconds.
		free := request.Notification.Claim.Until.Add(time.Second)
		return app.Request{}, "", inngestgo.RetryAtError(errInFlight, free)
	}
	if result == app.Granted {
		r.run.ClaimedAt = request.Notification.Claim.At
	}
	return request, result, nil
}

// deliver hands the email to the mail server. It goes on when the server that called has hung up, since half a
// delivery helps nobody, but never beyond the time that the claim keeps others away.
func (r *notifyRun) deliver(ctx context.Context, request app.Request, details RequestDetails, technician TechnicianEmail) error {
	message, err := email.Render(email.Notification{
		To:           address(technician),
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
	if latest := request.Notification.Claim.Until.Add(-RecordTimeout(r.SendTimeout)); deadline.After(latest) {
		deadline = latest // the claim took long to be saved
	}
	limit := fmt.Errorf("not delivered within %v", r.SendTimeout)
	ctx, cancel := context.WithDeadlineCause(context.WithoutCancel(ctx), deadline, limit)
	defer cancel()
	return sortSendError(r.Mailer.Send(ctx, message))
}

// record tells the store that the email is out, for as long as the claim keeps others away.
func (r *notifyRun) record(ctx context.Context, delivery Delivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RecordTimeout(r.SendTimeout))
	defer cancel()
	return persist(ctx, func() error {
		request, err := r.Store.Request(ctx, delivery.RequestID)
		if err != nil {
			return fmt.Errorf("read request %s to record that its email was accepted: %w", delivery.RequestID, err)
		}
		_, _, err = app.Update(ctx, r.Store, request, func(n app.Notification) (app.Notification, bool) {
			return n.Accept(delivery.SentAt)
		})
		return err
	})
}
