package app_test

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
)

const (
	equipmentID  = "65f000000000000000000e01"
	technicianID = "65f000000000000000000a01"
	requesterID  = "65f000000000000000000b01"
)

func draft() app.Draft {
	return app.Draft{
		Subject: "Belt torn", Type: app.Corrective,
		EquipmentID: equipmentID, TechnicianID: technicianID, RequestedByID: requesterID,
	}
}

func TestDraft(t *testing.T) {
	t.Parallel()
	d := draft()
	d.Subject = "  Belt \u202etorn\u202c – ремонт 🛠 "
	d.EquipmentID = strings.ToUpper(equipmentID)
	d.Description = "\r\nFirst.\r\n\tSecond.\n\n"
	d.ScheduledFor = "2026-03-04T07:06:07.1239+02:00"
	r, problems := d.Request()
	require.Empty(t, problems)
	require.Equal(t, app.Request{
		Subject: "Belt \u202etorn\u202c – ремонт 🛠", Type: app.Corrective, Priority: app.Normal,
		EquipmentID: equipmentID, TechnicianID: technicianID, RequestedByID: requesterID,
		Description:  "First.\n\tSecond.",
		ScheduledFor: time.Date(2026, time.March, 4, 5, 6, 7, 123_000_000, time.UTC),
	}, r)
}

func TestDraftProblems(t *testing.T) {
	t.Parallel()
	const oneLine = "must be one line without control characters"
	outOfYears := app.FieldErrors{"scheduledFor": "must be in the years 1970 to 2200 (UTC)"}
	for name, c := range map[string]struct {
		change func(*app.Draft)
		want   app.FieldErrors
	}{
		"nothing": {func(d *app.Draft) { *d = app.Draft{} }, app.FieldErrors{
			"subject": "is required", "type": "must be corrective or preventive",
			"equipmentId": "is required", "technicianId": "is required", "requestedById": "is required",
		}},
		"line break at the end":     {func(d *app.Draft) { d.Subject = "Belt torn\r\n" }, app.FieldErrors{"subject": "must be one line without control characters"}},
		"subject of blanks":         {func(d *app.Draft) { d.Subject = " \t\n" }, app.FieldErrors{"subject": "is required"}},
		"subject of invisible ones": {func(d *app.Draft) { d.Subject = "\u200b\u2060\u202e" }, app.FieldErrors{"subject": "must hold at least one visible character"}},
		"subject too long":          {func(d *app.Draft) { d.Subject = strings.Repeat("é", 201) }, app.FieldErrors{"subject": "must not be longer than 200 characters"}},
		"subject just long enough":  {func(d *app.Draft) { d.Subject = strings.Repeat("é", 200) }, app.FieldErrors{}},
		"header in the subject":     {func(d *app.Draft) { d.Subject = "a\r\nBcc: x@y" }, app.FieldErrors{"subject": oneLine}},
		"NUL in the subject":        {func(d *app.Draft) { d.Subject = "a\x00b" }, app.FieldErrors{"subject": oneLine}},
		"C1 in the subject":         {func(d *app.Draft) { d.Subject = "a\u0085b" }, app.FieldErrors{"subject": oneLine}},
		"line separator":            {func(d *app.Draft) { d.Subject = "a\u2028b" }, app.FieldErrors{"subject": oneLine}},
		"paragraph separator":       {func(d *app.Draft) { d.Subject = "a\u2029b" }, app.FieldErrors{"subject": oneLine}},
		"description too long":      {func(d *app.Draft) { d.Description = strings.Repeat("é", 10_001) }, app.FieldErrors{"description": "must not be longer than 10000 characters"}},
		"description just fits":     {func(d *app.Draft) { d.Description = strings.Repeat("é", 10_000) }, app.FieldErrors{}},
		"escape in the description": {func(d *app.Draft) { d.Description = "a\x1b[2Jb" }, app.FieldErrors{"description": "must not contain control characters other than line breaks and tabs"}},
		"type":                      {func(d *app.Draft) { d.Type = "Corrective" }, app.FieldErrors{"type": "must be corrective or preventive"}},
		"priority":                  {func(d *app.Draft) { d.Priority = "urgent" }, app.FieldErrors{"priority": "must be low, normal or high"}},
		"id":                        {func(d *app.Draft) { d.EquipmentID = "{$ne:1}" }, app.FieldErrors{"equipmentId": "must be an id of 24 hexadecimal digits"}},
		"schedule": {func(d *app.Draft) { d.ScheduledFor = "tomorrow" }, app.FieldErrors{
			"scheduledFor": "must be a time such as 2026-03-04T05:06:07Z (RFC 3339)",
		}},
		"scheduled in UTC's year 10000": {func(d *app.Draft) { d.ScheduledFor = "9999-12-31T23:59:59-23:59" }, outOfYears},
		"scheduled in UTC's year -1":    {func(d *app.Draft) { d.ScheduledFor = "0000-01-01T00:00:00+23:59" }, outOfYears},
		"scheduled too early":           {func(d *app.Draft) { d.ScheduledFor = "1970-01-01T00:00:00+00:01" }, outOfYears},
		"scheduled too late":            {func(d *app.Draft) { d.ScheduledFor = "2200-12-31T23:59:59-00:01" }, outOfYears},
		"scheduled early":               {func(d *app.Draft) { d.ScheduledFor = "1969-12-31T23:59:00-00:01" }, app.FieldErrors{}},
		"scheduled late":                {func(d *app.Draft) { d.ScheduledFor = "2201-01-01T00:00:00+00:01" }, app.FieldErrors{}},
	} {
		d := draft()
		c.change(&d)
		_, problems := d.Request()
		require.Equal(t, c.want, problems, name)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	kim := app.User{ID: technicianID, Name: "Kim Larsen", Email: "kim@plant.test"}
	address, err := kim.Address()
	require.NoError(t, err)
	require.Equal(t, mail.Address{Name: "Kim Larsen", Address: "kim@plant.test"}, address)

	kim.Email = ""
	_, err = kim.Address()
	require.EqualError(t, err, "technician Kim Larsen has no email address")
	for _, bad := range []string{"kim", "Kim <kim@plant.test>", "kim@plant.test, lee@plant.test", "kim@plant.test\r\nBcc: x@y.test", " "} {
		kim.Email = bad
		_, err = kim.Address()
		require.EqualError(t, err, "the email address of technician Kim Larsen is not a valid one", bad)
	}
}

func TestWorld_ValidateReportsAllProblems(t *testing.T) {
	t.Parallel()
	w := app.World{
		Users: []app.User{
			{ID: technicianID, Name: "Kim", Role: "technician"},
			{ID: technicianID, Name: "Lee\n", Email: "Lee <lee@plant.test>"},
		},
		Equipment: []app.Equipment{{ID: "7", Name: strings.Repeat("x", 300), Location: "Hall\u20282"}},
	}
	require.EqualError(t, w.Validate(), `invalid world:
  users[1].id is that of users[0] too
  users[1].name must be one line without control characters
  users[1].role is required
  users[1].email is not a bare address such as kim@plant.test
  equipment[0].id must be an id of 24 hexadecimal digits
  equipment[0].name must not be longer than 200 bytes
  equipment[0].location must be one line without control characters`)
	require.ErrorContains(t, app.World{}.Validate(), `it holds no "users" and no "equipment"`)
	require.NoError(t, app.World{Users: w.Users[:1]}.Validate())
}

func TestEvent(t *testing.T) {
	t.Parallel()
	r, _ := draft().Request()
	r.ID = "65f0000000000000000000ff"
	r.Notification.Generation = 12
	e := r.Event()
	require.Equal(t, app.Event{
		IdempotencyKey: "65f0000000000000000000ff-12", Name: "maintenance/request.created",
		Data: app.RequestCreated{
			RequestID: r.ID, TechnicianID: technicianID, RequestedByID: requesterID,
			Subject: "Belt torn", Type: app.Corrective, EquipmentID: equipmentID,
		},
	}, e)
	require.NoError(t, e.Data.Validate())
	require.Equal(t, 12, app.EventGeneration(e.IdempotencyKey, r.ID))
	for _, foreign := range []string{"", "x", r.ID, r.ID + "-", r.ID + "-0", r.ID + "-x", r.ID + "-+1", r.ID + "-01", technicianID + "-1", "01KAXYZ"} {
		require.Zero(t, app.EventGeneration(foreign, r.ID), foreign)
	}
	require.EqualError(t, app.RequestCreated{}.Validate(), "the event's data.requestId is not an id of 24 hexadecimal digits")
	require.EqualError(t, app.RequestCreated{RequestID: r.ID, TechnicianID: "kim"}.Validate(),
		"the event's data.technicianId is not an id of 24 hexadecimal digits")
}

func TestClassify(t *testing.T) {
	t.Parallel()
	cause := errors.New("no route")
	kind, reason := app.Classify(fmt.Errorf("read: %w", cause))
	require.Equal(t, app.Transient, kind)
	require.Empty(t, reason)

	err := fmt.Errorf("step: %w", app.Permanent(app.Undeliverable, "there is no such mailbox", cause))
	kind, reason = app.Classify(err)
	require.Equal(t, app.Undeliverable, kind)
	require.Equal(t, "there is no such mailbox", reason)
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, "step: there is no such mailbox: no route")
	require.EqualError(t, app.Permanent(app.BadEvent, "bad", nil), "bad")
	require.EqualError(t, app.FieldErrors{"b": "is bad", "a": "is worse"}, "a is worse; b is bad")
}

func TestLinks(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("https://plant.example/maintenance")
	require.NoError(t, err)
	links := func(linkKey string, apiTokens ...string) app.Links {
		l, err := app.NewLinks(base, linkKey, apiTokens...)
		require.NoError(t, err)
		return l
	}
	signature := func(l app.Links, id string) string {
		u, err := url.Parse(l.Page(id))
		require.NoError(t, err)
		require.Equal(t, "/maintenance/requests/"+id, u.Path)
		return u.Query().Get("sig")
	}

	byKey, byToken, none := links("a link key of some length", "token"), links("", "token"), links("", "")
	require.Equal(t, "https://plant.example/maintenance/requests/1", none.Page("1"))
	require.False(t, none.Valid("1", ""), "an empty signature is accepted")
	for _, l := range []app.Links{byKey, byToken} {
		sig := signature(l, "1")
		require.True(t, l.Valid("1", sig))
		require.False(t, l.Valid("2", sig))
		require.False(t, l.Valid("1", sig[1:]))
		require.False(t, l.Valid("1", ""))
	}
	require.NotEqual(t, signature(byKey, "1"), signature(byToken, "1"))
	require.False(t, links("", "another token").Valid("1", signature(byToken, "1")))
	require.Equal(t, signature(byToken, "1"), signature(links("", "token"), "1"), "links stay valid after a restart")

	rotated := links("", "another token", "token")
	require.Equal(t, signature(links("", "another token"), "1"), signature(rotated, "1"))
	require.True(t, rotated.Valid("1", signature(byToken, "1")), "links of the previous token stay valid")
	require.False(t, rotated.Valid("2", signature(byToken, "1")))
	require.True(t, links("a link key of some length", "token", "").Valid("1", signature(byToken, "1")), "links from before there was a link key")
}
