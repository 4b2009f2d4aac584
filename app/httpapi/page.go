package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var (
	pageTemplate = template.Must(template.New("page").Parse(pageHTML))

	// pagePolicy allows only the page's own style, by its hash: no scripts, no images, no frames.
	pagePolicy = "default-src 'none'; style-src 'sha256-" + hash(pageCSS) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// pageView is the data of the page. Its texts are untrusted: the template escapes them and isolates their writing
// direction.
type pageView struct {
	Style   template.CSS
	Title   string
	Message string // shown instead of a request
	Request *pageRequest
}

type pageRequest struct {
	Subject, Description string
	Notification         string
	Facts                []fact
}

type fact struct{ Name, Value string }

func (a *api) page(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	_, trusted := a.token(r)
	if !a.OpenPages && !a.Links.Valid(id, r.URL.Query().Get("sig")) && !trusted {
		showPage(w, http.StatusForbidden, pageView{
			Title:   "Link not valid",
			Message: "This link is not complete. Open the request from the button in the email, or copy the whole link.",
		})
		return
	}
	request, err := a.Store.Request(r.Context(), id)
	if errors.Is(err, app.ErrNotFound) {
		showPage(w, http.StatusNotFound, pageView{Title: "No such request", Message: "This request does not exist, or not any more."})
		return
	}
	var view *pageRequest
	if err == nil {
		view, err = a.pageRequest(r, request)
	}
	if err != nil {
		status := a.failed(w, r, err)
		failed := pageView{Title: "Something went wrong", Message: "The request cannot be shown. The people who run this app can read why in its log."}
		if status == http.StatusServiceUnavailable {
			failed = pageView{Title: "Try again", Message: "The request cannot be read just now. Try again in a moment."}
		}
		showPage(w, status, failed)
		return
	}
	showPage(w, http.StatusOK, pageView{Title: request.Subject, Request: view})
}

func (a *api) pageRequest(r *http.Request, request app.Request) (*pageRequest, error) {
	view := &pageRequest{
		Subject:      request.Subject,
		Description:  request.Description,
		Notification: a.notificationText(request.Notification),
	}
	equipment, err := a.Store.Equipment(r.Context(), request.EquipmentID)
	if err != nil && !errors.Is(err, app.ErrNotFound) {
		return nil, err
	}
	view.add("Equipment", equipment.Name)
	view.add("Location", equipment.Location)
	view.add("Type", map[app.Type]string{app.Corrective: "Corrective", app.Preventive: "Preventive"}[request.Type])
	view.add("Priority", map[app.Priority]string{app.Low: "Low", app.Normal: "Normal", app.High: "High"}[request.Priority])
	view.add("Scheduled", a.timeText(request.ScheduledFor))
	for _, person := range []struct{ fact, id string }{
		{"Technician", request.TechnicianID},
		{"Requested by", request.RequestedByID},
	} {
		user, err := a.Store.User(r.Context(), person.id)
		if err != nil && !errors.Is(err, app.ErrNotFound) {
			return nil, err
		}
		view.add(person.fact, user.Name)
	}
	view.add("Created", a.timeText(request.CreatedAt))
	view.add("Request", request.ID)
	return view, nil
}

// add appends a fact unless its value is empty.
func (p *pageRequest) add(name, value string) {
	if value != "" {
		p.Facts = append(p.Facts, fact{name, value})
	}
}

func (a *api) notificationText(n app.Notification) string {
	switch n.State {
	case app.Sent:
		return "The technician was notified on " + a.timeText(n.SentAt) + "."
	case app.Failed:
		return "The technician could not be notified: " + n.Reason
	default:
		return "The technician is being notified."
	}
}

func (a *api) timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(a.TimeZone).Format("Monday, 2 January 2006, 15:04 MST")
}

func showPage(w http.ResponseWriter, status int, view pageView) {
	view.Style = template.CSS(pageCSS)
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, view); err != nil {
		plain(w, http.StatusInternalServerError, "The page could not be made.")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer") // the URL contains the signature
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // fails only if the client has disconnected
}
