package mongostore

import (
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// The stored documents. They are separate from the domain types, so that a renamed Go field or a change of the API's JSON
// does not change the database.

type userDoc struct {
	ID    bson.ObjectID `bson:"_id"`
	Name  string        `bson:"name"`
	Email string        `bson:"email,omitempty"`
	Role  string        `bson:"role"`
}

type equipmentDoc struct {
	ID       bson.ObjectID `bson:"_id"`
	Name     string        `bson:"name"`
	Location string        `bson:"location,omitempty"`
}

type requestDoc struct {
	ID            bson.ObjectID   `bson:"_id"`
	Subject       string          `bson:"subject"`
	Type          string          `bson:"type"`
	EquipmentID   bson.ObjectID   `bson:"equipmentId"`
	TechnicianID  bson.ObjectID   `bson:"technicianId"`
	RequestedByID bson.ObjectID   `bson:"requestedById"`
	Description   string          `bson:"description,omitempty"`
	Priority      string          `bson:"priority"`
	ScheduledFor  time.Time       `bson:"scheduledFor,omitempty"`
	CreatedAt     time.Time       `bson:"createdAt"`
	Notification  notificationDoc `bson:"notification"`
}

type notificationDoc struct {
	State          string    `bson:"state"`
	Generation     int       `bson:"generation"`
	MessageID      string    `bson:"messageId"`
	Attempts       int       `bson:"attempts"`
	LastError      string    `bson:"lastError,omitempty"`
	Reason         string    `bson:"reason,omitempty"`
	Claim          *claimDoc `bson:"claim,omitempty"`
	DispatchedAt   time.Time `bson:"dispatchedAt,omitempty"`
	SentAt         time.Time `bson:"sentAt,omitempty"`
	NextDispatchAt time.Time `bson:"nextDispatchAt,omitempty"`
	Version        int64     `bson:"version"`
}

type claimDoc struct {
	RunID string    `bson:"runId"`
	At    time.Time `bson:"at"`
	Until time.Time `bson:"until"`
}

func fromRequest(r app.Request) (requestDoc, error) {
	doc := requestDoc{
		Subject:      r.Subject,
		Type:         string(r.Type),
		Description:  r.Description,
		Priority:     string(r.Priority),
		ScheduledFor: r.ScheduledFor,
		CreatedAt:    r.CreatedAt,
		Notification: fromNotification(r.Notification),
	}
	for _, id := range []struct {
		field string
		hex   string
		into  *bson.ObjectID
	}{
		{"id", r.ID, &doc.ID},
		{"equipmentId", r.EquipmentID, &doc.EquipmentID},
		{"technicianId", r.TechnicianID, &doc.TechnicianID},
		{"requestedById", r.RequestedByID, &doc.RequestedByID},
	} {
		oid, err := bson.ObjectIDFromHex(id.hex)
		if err != nil {
			return requestDoc{}, fmt.Errorf("request's %s %q: %w", id.field, id.hex, err)
		}
		*id.into = oid
	}
	return doc, nil
}

func (d requestDoc) request() app.Request {
	return app.Request{
		ID:            d.ID.Hex(),
		Subject:       d.Subject,
		Type:          app.Type(d.Type),
		EquipmentID:   d.EquipmentID.Hex(),
		TechnicianID:  d.TechnicianID.Hex(),
		RequestedByID: d.RequestedByID.Hex(),
		Description:   d.Description,
		Priority:      app.Priority(d.Priority),
		ScheduledFor:  utc(d.ScheduledFor),
		CreatedAt:     utc(d.CreatedAt),
		Notification:  d.Notification.notification(),
	}
}

func fromNotification(n app.Notification) notificationDoc {
	doc := notificationDoc{
		State:          string(n.State),
		Generation:     n.Generation,
		MessageID:      n.MessageID,
		Attempts:       n.Attempts,
		LastError:      n.LastError,
		Reason:         n.Reason,
		DispatchedAt:   n.DispatchedAt,
		SentAt:         n.SentAt,
		NextDispatchAt: n.NextDispatchAt,
		Version:        n.Version,
	}
	if n.Claim != nil {
		doc.Claim = &claimDoc{RunID: n.Claim.RunID, At: n.Claim.At, Until: n.Claim.Until}
	}
	return doc
}

func (d notificationDoc) notification() app.Notification {
	n := app.Notification{
		State:          app.State(d.State),
		Generation:     d.Generation,
		MessageID:      d.MessageID,
		Attempts:       d.Attempts,
		LastError:      d.LastError,
		Reason:         d.Reason,
		DispatchedAt:   utc(d.DispatchedAt),
		SentAt:         utc(d.SentAt),
		NextDispatchAt: utc(d.NextDispatchAt),
		Version:        d.Version,
	}
	if d.Claim != nil {
		n.Claim = &app.Claim{RunID: d.Claim.RunID, At: utc(d.Claim.At), Until: utc(d.Claim.Until)}
	}
	return n
}

// utc converts t to UTC, as app.Store requires, and keeps the zero time, to which the driver decodes an absent date.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
