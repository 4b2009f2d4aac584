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
}

// Validate reports what makes e useless to the function: it needs to name a request and a technician. The rest is
// for those who look at the event; what is written to the technician comes from the store.
func (e RequestCreated) Validate() error {
	if !ValidID(e.RequestID) {
		return errors.New("the event's data.requestId is not an id of 24 hexadecimal digits")
	}
	if !ValidID(e.TechnicianID) {
		return errors.New("the event's data.technicianId is not an id of 24 hexadecimal digits")
	}
	return nil
}

// Event is an event as the Inngest event API takes it.
type Event struct {
	ID   string         `json:"id"`
	Name string         `json:"name"`
	Data RequestCreated `json:"data"`
}

// Event returns the event that announces r in its present generation.
func (r Request) Event() Event {
	return Event{
		ID:   EventID(r.ID, r.Notification.Generation),
		Name: EventRequestCreated,
		Data: RequestCreated{
			RequestID:     r.ID,
			TechnicianID:  r.TechnicianID,
			RequestedByID: r.RequestedByID,
			Subject:       r.Subject,
			Type:          r.Type,
			EquipmentID:   r.EquipmentID,
		},
	}
}

// EventID is the id under which a generation of a request's event is sent. The server keeps one event per id, so
// that sending a generation again is harmless.
func EventID(requestID string, generation int) string {
	return fmt.Sprintf("%s-%d", requestID, generation)
}

// EventGeneration is the generation that an event id of this app names, 0 for an id from elsewhere: somebody may send
// the event straight to Inngest, and it works as one sent by the app.
func EventGeneration(eventID, requestID string) int {
	number, ours := strings.CutPrefix(eventID, requestID+"-")
	if !ours {
		return 0
	}
	generation, err := strconv.Atoi(number)
	if err != nil || generation < 1 || EventID(requestID, generation) != eventID {
		return 0
	}
	return generation
}
