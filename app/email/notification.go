package email

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/mail"
	"net/url"
	"strings"
	texttemplate "text/template"
	"time"
)

// Notification is the content of the email about one maintenance request. Texts may contain anything; empty texts are
// left out. Only To, RequestID and URL are required.
type Notification struct {
	To        mail.Address // the technician; the name is shown in the To header
	RequestID string
	Subject   string // of the request, one line

	// Type and Priority are values of the request or their labels: "corrective" and "Corrective" are both shown as
	// "Corrective maintenance", "high" as "High priority". An unknown value is shown unchanged.
	Type, Priority string

	Equipment, Requester, Technician string // names, never ids

	ScheduledFor time.Time      // zero: not scheduled
	TimeZone     *time.Location // the zone the schedule is shown in; nil: UTC

	Description string // any number of lines
	URL         string // of the request's page: absolute, http or https

	MessageID string    // with angle brackets; empty: MessageID(RequestID, the sender's domain)
	RunID     string    // the run that sends it, for the X-Inngest-Run-Id header; empty: no such header
	Date      time.Time // of the email; zero: now
}

// These limits, in bytes, keep every message under the 102 KB at which large webmail services clip.
const (
	headerSubjectLimit = 200
	displayNameLimit   = 120
	headerValueLimit   = 200
	lineLimit          = 500
	badgeLimit         = 60
	urlLimit           = 2000

	// textBudget is shared by all texts in both parts. The description gets what the other texts leave. 10,000 letters of
	// most scripts fit; in Japanese they take 60,000.
	textBudget = 65_000
)

// Render makes the email of a notification. The result depends only on the arguments and, if n.Date is zero, on the
// current time.
//
// An error is permanent: an address or URL is missing or not valid. Its text says which, so that a user can fix it.
func Render(n Notification, from mail.Address) (*Message, error) {
	sender, recipient, err := (&Message{From: from, To: n.To}).addresses()
	if err != nil {
		return nil, fmt.Errorf("render notification: %w", err)
	}
	if n.RequestID == "" {
		return nil, errors.New("render notification: it names no request")
	}
	link, err := absoluteURL(n.URL)
	if err != nil {
		return nil, fmt.Errorf("render notification: %w", err)
	}
	m := &Message{
		From:      sender,
		To:        recipient,
		Subject:   headerSubject(n),
		MessageID: n.MessageID,
		Date:      n.Date,
		Headers:   headers(n),
	}
	if m.MessageID == "" {
		m.MessageID = MessageID(n.RequestID, sender.Address[strings.LastIndexByte(sender.Address, '@')+1:])
	}
	if m.Date.IsZero() {
		m.Date = time.Now()
	}

	var text, html bytes.Buffer
	if err := textTemplate.Execute(&text, newView(n, link, isolate)); err != nil {
		return nil, fmt.Errorf("render notification: text part: %w", err)
	}
	if err := htmlTemplate.Execute(&html, newView(n, link, balance)); err != nil {
		return nil, fmt.Errorf("render notification: HTML part: %w", err)
	}
	m.Text, m.HTML = text.String(), html.String()
	if _, err := m.build(); err != nil {
		return nil, fmt.Errorf("render notification: %w", err)
	}
	return m, nil
}

func absoluteURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", fmt.Errorf("link to the request's page: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "", fmt.Errorf("link to the request's page: %q is not an absolute http or https URL", s)
	}
	link := u.String() // escapes characters that are not allowed in a URL
	if len(link) > urlLimit {
		return "", fmt.Errorf("link to the request's page: %d bytes long, at most %d are allowed", len(link), urlLimit)
	}
	return link, nil
}

// headerSubject returns the Subject header. It begins with priority and type, because an inbox on a phone shows about 40
// letters.
func headerSubject(n Notification) string {
	kind := cmp.Or(typeBadge(n.Type).Label, "Maintenance request")
	what := cmp.Or(n.Subject, n.Equipment, n.RequestID)
	subject := headerText(kind+": "+what, headerSubjectLimit)
	if isHigh(n.Priority) {
		subject = "[High] " + subject
	}
	return subject
}

func headers(n Notification) map[string]string {
	h := map[string]string{
		"X-Maintenance-Request-Id": headerText(n.RequestID, headerValueLimit),
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All", // Exchange reads this instead of Auto-Submitted
		"Content-Language":         "en",
	}
	if n.RunID != "" {
		h["X-Inngest-Run-Id"] = headerText(n.RunID, headerValueLimit)
	}
	if isHigh(n.Priority) {
		h["Importance"] = "high"
	}
	return h
}

// view is the data of both templates.
type view struct {
	Title      string
	Type       badge
	Priority   badge
	Subject    string
	Technician string
	Details    []detail

	Description [][]string // paragraphs of lines
	Whole       bool       // false: the description was cut
	URL         string
	RequestID   string

	Outlook outlook
}

type detail struct {
	Label, Value string
	UserText     bool // Value was typed by a user: it needs a writing direction of its own
}

// newView prepares a notification for a template. Quote prepares a user's text to be put next to other text.
func newView(n Notification, link string, quote func(string) string) view {
	line := func(s string) string { return quote(oneLine(s, lineLimit)) }
	v := view{
		Type:       typeBadge(n.Type),
		Priority:   priorityBadge(n.Priority),
		Subject:    cmp.Or(line(n.Subject), "Maintenance request"),
		Technician: cmp.Or(line(n.Technician), line(n.To.Name)),
		URL:        link,
		RequestID:  line(n.RequestID),
		Outlook:    outlookOnly,
	}
	v.Type.Label, v.Priority.Label = quote(v.Type.Label), quote(v.Priority.Label)
	v.Title = headerSubject(n)

	v.add("Equipment", line(n.Equipment), true)
	v.add("Requested by", line(n.Requester), true)
	if !n.ScheduledFor.IsZero() {
		v.add("Scheduled for", formatSchedule(n.ScheduledFor, n.TimeZone), false)
	}

	description := paragraphs(n.Description)
	for _, lines := range description {
		for i := range lines {
			lines[i] = balance(lines[i]) // no other text is on its line, so it needs no isolation
		}
	}
	v.Description, v.Whole = fit(description, textBudget-v.weight())
	return v
}

// weight returns the size of all texts except the description, in both parts together.
func (v *view) weight() int {
	w := weight(v.Title) + weight(v.Type.Label) + weight(v.Priority.Label) + weight(v.Subject) +
		weight(v.Technician) + weight(v.RequestID) + 3*weight(v.URL) // the HTML part links to it twice
	for _, d := range v.Details {
		w += 2 * weight(d.Value) // the preheader repeats it
	}
	return w
}

func (v *view) add(label, value string, userText bool) {
	if value != "" {
		v.Details = append(v.Details, detail{label, value, userText})
	}
}

// formatSchedule formats t with the name and offset of the zone, since a technician on call may be in another one. A zone
// without an abbreviation is named by its location.
func formatSchedule(t time.Time, zone *time.Location) string {
	if zone == nil {
		zone = time.UTC
	}
	t = t.In(zone)
	name, _ := t.Zone()
	if strings.ContainsAny(name, "+-") {
		name = zone.String()
	}
	return t.Format("Monday 2 January 2006, 15:04 ") + name + t.Format(" (-07:00)")
}

// badge is a short label on a colored background.
type badge struct {
	Label       string
	Light, Dark swatch
}

// swatch holds two colors with sufficient contrast, as #rrggbb.
type swatch struct{ Ink, Ground template.CSS }

var (
	neutral = badge{Light: swatch{"#35424f", "#e6eaee"}, Dark: swatch{"#d5dde5", "#36424e"}}

	typeBadges = map[string]badge{
		"corrective": {"Corrective maintenance", swatch{"#713d00", "#fdebc8"}, swatch{"#ffd894", "#4d3508"}},
		"preventive": {"Preventive maintenance", swatch{"#0a513d", "#d3f1e4"}, swatch{"#94e3c5", "#0d4433"}},
	}
	priorityBadges = map[string]badge{
		"high":   {"High priority", swatch{"#ffffff", "#b3261e"}, swatch{"#3a0503", "#ff9c92"}},
		"normal": {"Normal priority", swatch{"#1b3f74", "#dfeafa"}, swatch{"#b9d4fb", "#213d63"}},
		"low":    {"Low priority", neutral.Light, neutral.Dark},
	}
)

func typeBadge(value string) badge { return badgeFor(typeBadges, value, " maintenance") }

func priorityBadge(value string) badge { return badgeFor(priorityBadges, value, " priority") }

func isHigh(priority string) bool {
	return priorityBadge(priority).Label == priorityBadges["high"].Label
}

func badgeFor(known map[string]badge, value, suffix string) badge {
	value = oneLine(value, badgeLimit)
	if b, ok := known[strings.TrimSuffix(strings.ToLower(value), suffix)]; ok {
		return b
	}
	b := neutral
	b.Label = value
	return b
}

// outlook holds conditional comments for Outlook on Windows, whose layout engine does not support max-width.
// html/template removes comments from templates, so they are passed as values.
type outlook struct{ Head, Open, Close template.HTML }

var outlookOnly = outlook{
	Head: `<!--[if mso]><xml><o:OfficeDocumentSettings xmlns:o="urn:schemas-microsoft-com:office:office">` +
		`<o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml><![endif]-->`,
	Open:  `<!--[if mso]><table role="presentation" align="center" width="600" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`,
	Close: `<!--[if mso]></td></tr></table><![endif]-->`,
}

var (
	//go:embed templates/notification.html.tmpl
	htmlSource   string
	htmlTemplate = template.Must(template.New("notification.html").Parse(htmlSource))

	//go:embed templates/notification.txt.tmpl
	textSource   string
	textTemplate = texttemplate.Must(texttemplate.New("notification.txt").Parse(textSource))
)
