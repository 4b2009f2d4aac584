package mongostore

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// requestDoc is a stored request. Ids are ObjectIDs in the database and strings in the domain types.
type requestDoc struct {
	ID            bson.ObjectID `bson:"_id"`
	EquipmentID   bson.ObjectID `bson:"equipmentId"`
	TechnicianID  bson.ObjectID `bson:"technicianId"`
	RequestedByID bson.ObjectID `bson:"requestedById"`
	Fields        app.Request   `bson:",inline"` // all but the ids
}

// reservationDoc is a stored reservation.
type reservationDoc struct {
	Key     string     `bson:"_id"`
	Body    string     `bson:"body"`
	Request requestDoc `bson:"request"`
}

func fromRequest(r app.Request) (requestDoc, error) {
	doc := requestDoc{Fields: r}
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
	r := d.Fields
	r.ID, r.EquipmentID = d.ID.Hex(), d.EquipmentID.Hex()
	r.TechnicianID, r.RequestedByID = d.TechnicianID.Hex(), d.RequestedByID.Hex()
	return r
}
