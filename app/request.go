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

// Limits of the texts of a request, in characters.
const (
	MaxSubject     = 200
	MaxDescription = 10_000
)

// Type is the kind of maintenance asked for.
type Type string

// The types of maintenance.
const (
	Corrective Type = "corrective"
	Preventive Type = "preventive"
)

// Priority says how soon a request wants attention. The empty value in a Draft means Normal.
type Priority string

// The priorities.
const (
	Low    Priority = "low"
	Normal Priority = "normal"
	High   Priority = "high"
)

// RoleTechnician is the role a user must have to be assigned requests.
const RoleTechnician = "technician"

// User is a person the service knows.
type User struct {
	ID    string `json:"id"` // 24 hexadecimal digits
	Name  string `json:"name"`
	Email string `json:"email"` // empty: none known
	Role  string `json:"role"`
}

// Address is where u is written to. The error, if there is one, is a sentence for people.
func (u User) Address() (mail.Address, error) {
	if u.Email == "" {
		return mail.Address{}, fmt.Errorf("technician %s has no email address", u.Name)
	}
	if !plainAddress(u.Email) {
		return mail.Address{}, fmt.Errorf("the email address of technician %s is not a valid one", u.Name)
	}
	return mail.Address{Name: u.Name, Address: u.Email}, nil
}

// plainAddress reports whether s is a bare local@domain, nothing that a header could read differently.
func plainAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && oneLine(s) == ""
}

// Equipment is a thing that is maintained.
type Equipment struct {
	ID       string `json:"id"` // 24 hexadecimal digits
	Name     string `json:"name"`
	Location string `json:"location"`
}

// Request asks a technician to do something to a piece of equipment. Times are UTC with millisecond precision.
type Request struct {
	ID            string       `json:"id"`
	Subject       string       `json:"subject"`
	Type          Type         `json:"type"`
	EquipmentID   string       `json:"equipmentId"`
	TechnicianID  string       `json:"technicianId"`
	RequestedByID string       `json:"requestedById"`
	Description   string       `json:"description,omitempty"`
	Priority      Priority     `json:"priority"`
	ScheduledFor  time.Time    `json:"scheduledFor,omitzero"` // zero: not scheduled
	CreatedAt     time.Time    `json:"createdAt"`
	Notification  Notification `json:"notification"`
}

// Draft is what somebody asks to be stored, before anything is checked.
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

// Request checks d for all that can be known without the store and returns the request it asks for, without id,
// creation time and notification. Problems are empty when there are none; every field has at most one.
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
			problems.add("scheduledFor", "must be a time such as 2026-03-04T05:06:07Z (RFC 3339)")
		}
		r.ScheduledFor = millis(scheduled)
	}
	if r.Priority == "" {
		r.Priority = Normal
	}

	problems.add("subject", subjectProblem(d.Subject))
	problems.add("description", descriptionProblem(r.Description))
	if !slices.Contains([]Type{Corrective, Preventive}, r.Type) {
		problems.add("type", "must be corrective or preventive")
	}
	if !slices.Contains([]Priority{Low, Normal, High}, r.Priority) {
		problems.add("priority", "must be low, normal or high")
	}
	problems.add("equipmentId", idProblem(r.EquipmentID))
	problems.add("technicianId", idProblem(r.TechnicianID))
	problems.add("requestedById", idProblem(r.RequestedByID))
	return r, problems
}

func subjectProblem(typed string) string {
	s := strings.TrimSpace(typed)
	switch {
	case s == "":
		return "is required"
	case oneLine(strings.Trim(typed, " ")) != "": // at an end, too, a line break is no blank
		return oneLine(typed)
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

// oneLine says what keeps s from being a single line of text, or "" when nothing does. Direction overrides pass:
// they are legitimate in some scripts, and every place that shows a text isolates it.
func oneLine(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
		return "must be one line without control characters"
	}
	if !utf8.ValidString(s) {
		return "must be valid UTF-8"
	}
	return ""
}

// visible reports whether r puts ink on a page, as far as Unicode's categories tell.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r)
}

// ValidID reports whether id is 24 lower-case hexadecimal digits, the form of every id in the store.
func ValidID(id string) bool {
	return len(id) == 24 && strings.Trim(id, "0123456789abcdef") == ""
}
