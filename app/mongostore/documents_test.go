package mongostore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// A change of this format needs a migration of existing databases.
func TestRequestDoc_Format(t *testing.T) {
	t.Parallel()
	at := func(second int) time.Time { return time.Date(2026, time.March, 4, 5, 6, second, 0, time.UTC) }
	r := app.Request{
		ID: "65f0000000000000000000ff", Subject: "Belt torn", Type: app.Corrective, Priority: app.High, Description: "Since Tuesday.",
		EquipmentID: "65f000000000000000000e01", TechnicianID: "65f000000000000000000a01", RequestedByID: "65f000000000000000000b01",
		ScheduledFor: at(1), CreatedAt: at(2),
		Notification: app.Notification{
			State: app.Dispatched, Generation: 2, MessageID: "<m@x>", Attempts: 3, LastError: "451 busy", Reason: "none",
			Claim:        &app.Claim{RunID: "01RUN", At: at(3), Until: at(4)},
			EventID:      "01EVENT",
			DispatchedAt: at(5), SentAt: at(6), NextDispatchAt: at(7), Version: 9,
		},
	}
	bare := r
	bare.Description, bare.ScheduledFor = "", time.Time{}
	bare.Notification = app.Notification{State: app.Pending, Generation: 1, MessageID: "<m@x>", Version: 1}
	const ids = `"_id":{"$oid":"65f0000000000000000000ff"},"subject":"Belt torn","type":"corrective",
		"equipmentId":{"$oid":"65f000000000000000000e01"},"technicianId":{"$oid":"65f000000000000000000a01"},
		"requestedById":{"$oid":"65f000000000000000000b01"},"priority":"high","createdAt":{"$date":"2026-03-04T05:06:02Z"},`
	for want, request := range map[string]app.Request{
		`{` + ids + `"description":"Since Tuesday.","scheduledFor":{"$date":"2026-03-04T05:06:01Z"},
			"notification":{"state":"dispatched","generation":2,"messageId":"<m@x>","attempts":3,"lastError":"451 busy","reason":"none",
				"claim":{"runId":"01RUN","at":{"$date":"2026-03-04T05:06:03Z"},"until":{"$date":"2026-03-04T05:06:04Z"}},
				"eventId":"01EVENT","dispatchedAt":{"$date":"2026-03-04T05:06:05Z"},"sentAt":{"$date":"2026-03-04T05:06:06Z"},
				"nextDispatchAt":{"$date":"2026-03-04T05:06:07Z"},"version":9}}`: r,
		`{` + ids + `"notification":{"state":"pending","generation":1,"messageId":"<m@x>","attempts":0,"version":1}}`: bare,
	} {
		doc, err := fromRequest(request)
		require.NoError(t, err)
		got, err := bson.MarshalExtJSON(doc, false, false)
		require.NoError(t, err)
		require.JSONEq(t, want, string(got))

		data, err := bson.Marshal(doc)
		require.NoError(t, err)
		var back requestDoc
		require.NoError(t, bson.Unmarshal(data, &back))
		require.Equal(t, request, back.request())
	}
}
