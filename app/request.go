package app

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Length limits of a request, in characters.
const (
	MaxSubject     = 200
	MaxDescription = 10_000
)

// The years, in UTC, in which a request may be scheduled. JSON has no form for a time outside the years 0 to 9999.
const (
	MinYear = 1970
	MaxYear = 2200
)

// Type is the kind of maintenance requested.
type Type string

// The types of maintenance.
const (
	Corrective Type = "corrective"
	Preventive Type = "preventive"
)

// Priority is the urgency of a request. Empty in a Draft: Normal.
type Priority string

// The priorities.
const (
	Low    Priority = "low"
	Normal Priority = "normal"
	High   Priority = "high"
)

// RoleTechnician is the role that a user must have to be assigned requests.
const RoleTechnician = "technician"

// User is a person known to the service.
type User struct {
	ID    string `json:"id" bson:"-"` // 24 hexadecimal digits
	Name  string `json:"name" bson:"name"`
	Email string `json:"email" bson:"email,omitempty"` // empty: unknown
	Role  string `json:"role" bson:"role"`
}

// Address returns the address for emails to u. The text of its error can be shown to users.
func (u User) Address() (mail.Address, error) {
	if u.Email == "" {
		return mail.Address{}, fmt.Errorf("technician %s has no email address", u.Name)
	}
	if !plainAddress(u.Email) {
		return mail.Address{}, fmt.Errorf("the email address of technician %s is not a valid one", u.Name)
	}
	return mail.Address{Name: u.Name, Address: u.Email}, nil
}

// plainAddress reports whether s is a bare local@domain that a mail header reads the same way.
func plainAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && lineProblem(s) == ""
}

// Equipment is a machine or installation that needs maintenance.
type Equipment struct {
	ID       string `json:"id" bson:"-"` // 24 hexadecimal digits
	Name     string `json:"name" bson:"name"`
	Location string `json:"location" bson:"location,omitempty"`
}

// Request asks a technician to maintain a piece of equipment. Times are UTC with millisecond precision. The API and the
// database have its fields under the same names; a store keeps the ids in its own form.
type Request struct {
	ID            string       `json:"id" bson:"-"`
	Subject       string       `json:"subject" bson:"subject"`
	Type          Type         `json:"type" bson:"type"`
	EquipmentID   string       `json:"equipmentId" bson:"-"`
	TechnicianID  string       `json:"technicianId" bson:"-"`
	RequestedByID string       `json:"requestedById" bson:"-"`
	Description   string       `json:"description,omitempty" bson:"description,omitempty"`
	Priority      Priority     `json:"priority" bson:"priority"`
	ScheduledFor  time.Time    `json:"scheduledFor,omitzero" bson:"scheduledFor,omitempty"` // zero: not scheduled
	CreatedAt     time.Time    `json:"createdAt" bson:"createdAt"`
	TraceParent   string       `json:"traceparent,omitempty" bson:"traceparent,omitempty"` // W3C trace context of the call; empty: none
	Notification  Notification `json:"notification" bson:"notification"`
}

// Draft is the unchecked input for a new request.
type Draft struct {
	Subject       string   `json:"subject"`
	Type          Type     `json:"type"`
	EquipmentID   string   `json:"equipmentId"`
	TechnicianID  string   `json:"technicianId"`
	RequestedByID string   `json:"requestedById"`
	Description   string   `json:"description"`
	Priority      Priority `json:"priority"`
	ScheduledFor  string   `json:"scheduledFor"` // RFC 3339
}

// Request validates d as far as possible without the store. It returns the request, without id, creation time and
// notification, and the problems found, at most one per field.
func (d Draft) Request() (Request, FieldErrors) {
	problems := FieldErrors{}
	r := Request{
		Subject:       strings.TrimSpace(d.Subject),
		Type:          d.Type,
		EquipmentID:   strings.ToLower(d.EquipmentID),
		TechnicianID:  strings.ToLower(d.TechnicianID),
		RequestedByID: strings.ToLower(d.RequestedByID),
		Description:   strings.TrimSpace(strings.ReplaceAll(d.Description, "\r\n", "\n")),
		Priority:      d.Priority,
	}
	if d.ScheduledFor != "" {
		scheduled, err := time.Parse(time.RFC3339, d.ScheduledFor)
		if err != nil || scheduled.IsZero() {
			problems.Add("scheduledFor", "must be a time such as 2026-03-04T05:06:07Z (RFC 3339)")
		} else if year := scheduled.UTC().Year(); year < MinYear || year > MaxYear {
			problems.Add("scheduledFor", fmt.Sprintf("must be in the years %d to %d (UTC)", MinYear, MaxYear))
		}
		r.ScheduledFor = millis(scheduled)
	}
	if r.Priority == "" {
		r.Priority = Normal
	}

	problems.Add("subject", subjectProblem(d.Subject))
	problems.Add("description", descriptionProblem(r.Description))
	if !slices.Contains([]Type{Corrective, Preventive}, r.Type) {
		problems.Add("type", "must be corrective or preventive")
	}
	if !slices.Contains([]Priority{Low, Normal, High}, r.Priority) {
		problems.Add("priority", "must be low, normal or high")
	}
	problems.Add("equipmentId", idProblem(r.EquipmentID))
	problems.Add("technicianId", idProblem(r.TechnicianID))
	problems.Add("requestedById", idProblem(r.RequestedByID))
	return r, problems
}

func subjectProblem(typed string) string {
	s := strings.TrimSpace(typed)
	switch {
	case s == "":
		return "is required"
	case lineProblem(strings.Trim(typed, " ")) != "": // a line break is not allowed at either end either
		return lineProblem(typed)
	case utf8.RuneCountInString(s) > MaxSubject:
		return fmt.Sprintf("must not be longer than %d characters", MaxSubject)
	case !strings.ContainsFunc(s, visible):
		return "must hold at least one visible character"
	}
	return ""
}

func descriptionProblem(s string) string {
	if utf8.RuneCountInString(s) > MaxDescription {
		return fmt.Sprintf("must not be longer than %d characters", MaxDescription)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return "must not contain control characters other than line breaks and tabs"
	}
	return ""
}

func idProblem(id string) string {
	if id == "" {
		return "is required"
	}
	if !ValidID(id) {
		return "must be an id of 24 hexadecimal digits"
	}
	return ""
}

// lineProblem returns why s is not a single line of text, or "". Direction overrides are allowed: some scripts need
// them, and all places that show a text isolate it.
func lineProblem(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
		return "must be one line without control characters"
	}
	if !utf8.ValidString(s) {
		return "must be valid UTF-8"
	}
	return ""
}

// visible reports whether r is a visible character, judged by its Unicode category.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r)
}

// ValidID reports whether id is 24 lower-case hexadecimal digits, the format of all ids in the store.
func ValidID(id string) bool {
	return len(id) == 24 && strings.Trim(id, "0123456789abcdef") == ""
}
