package mongostore

import (
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// The stored documents. Ids are ObjectIDs in the database and strings in the domain types.

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
	ID            bson.ObjectID    `bson:"_id"`
	Subject       string           `bson:"subject"`
	Type          app.Type         `bson:"type"`
	EquipmentID   bson.ObjectID    `bson:"equipmentId"`
	TechnicianID  bson.ObjectID    `bson:"technicianId"`
	RequestedByID bson.ObjectID    `bson:"requestedById"`
	Description   string           `bson:"description,omitempty"`
	Priority      app.Priority     `bson:"priority"`
	ScheduledFor  time.Time        `bson:"scheduledFor,omitempty"`
	CreatedAt     time.Time        `bson:"createdAt"`
	Notification  app.Notification `bson:"notification"`
}

func fromRequest(r app.Request) (requestDoc, error) {
	doc := requestDoc{
		Subject:      r.Subject,
		Type:         r.Type,
		Description:  r.Description,
		Priority:     r.Priority,
		ScheduledFor: r.ScheduledFor,
		CreatedAt:    r.CreatedAt,
		Notification: r.Notification,
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
		Type:          d.Type,
		EquipmentID:   d.EquipmentID.Hex(),
		TechnicianID:  d.TechnicianID.Hex(),
		RequestedByID: d.RequestedByID.Hex(),
		Description:   d.Description,
		Priority:      d.Priority,
		ScheduledFor:  d.ScheduledFor,
		CreatedAt:     d.CreatedAt,
		Notification:  d.Notification,
	}
}
