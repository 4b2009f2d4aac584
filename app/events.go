package app

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// EventRequestCreated is the name of the event that a created request sends.
const EventRequestCreated = "maintenance/request.created"

// RequestCreated is the data of EventRequestCreated.
type RequestCreated struct {
	RequestID     string `json:"requestId"`
	TechnicianID  string `json:"technicianId"`
	RequestedByID string `json:"requestedById"`
	Subject       string `json:"subject"`
	Type          Type   `json:"type"`
	EquipmentID   string `json:"equipmentId"`
	// TraceParent is the W3C trace context of what sent the event. Empty: none.
	TraceParent string `json:"traceparent,omitempty"`
}

// Validate returns an error if e does not name a request and a technician. The function reads everything else from the
// store; the other fields are only for display.
func (e RequestCreated) Validate() error {
	if !ValidID(e.RequestID) {
		return errors.New("the event's data.requestId is not an id of 24 hexadecimal digits")
	}
	if !ValidID(e.TechnicianID) {
		return errors.New("the event's data.technicianId is not an id of 24 hexadecimal digits")
	}
	return nil
}

// Event is an event in the format of the Inngest event API.
type Event struct {
	// IdempotencyKey: the server accepts one event per key and drops the others.
	IdempotencyKey string         `json:"id"`
	Name           string         `json:"name"`
	Data           RequestCreated `json:"data"`
}

// Event returns the event of r for the notification's current generation.
func (r Request) Event() Event {
	return Event{
		IdempotencyKey: IdempotencyKey(r.ID, r.Notification.Generation),
		Name:           EventRequestCreated,
		Data: RequestCreated{
			RequestID:     r.ID,
			TechnicianID:  r.TechnicianID,
			RequestedByID: r.RequestedByID,
			Subject:       r.Subject,
			Type:          r.Type,
			EquipmentID:   r.EquipmentID,
			TraceParent:   r.TraceParent,
		},
	}
}

// IdempotencyKey returns the idempotency key of a request's event in a generation. The server accepts one event per
// key, so sending a generation again is harmless.
func IdempotencyKey(requestID string, generation int) string {
	return fmt.Sprintf("%s-%d", requestID, generation)
}

// EventGeneration returns the generation in an idempotency key made by IdempotencyKey. For any other key it returns 0:
// the event was sent to Inngest by another program, which is allowed.
func EventGeneration(key, requestID string) int {
	number, ours := strings.CutPrefix(key, requestID+"-")
	if !ours {
		return 0
	}
	generation, err := strconv.Atoi(number)
	if err != nil || generation < 1 || IdempotencyKey(requestID, generation) != key {
		return 0
	}
	return generation
}
