package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mailview"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/timeline"
)

// clock is how a moment is shown.
const clock = "15:04:05.000"

// leastWidth is how wide a bar of the timeline is at least, in percent, so that it can be seen.
const leastWidth = 0.4

func parsePages() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"clock": func(t time.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.Local().Format(clock)
		},
		"elapsed": text.Elapsed,
		"left":    func(b timeline.Bar) float64 { return min(b.Left, 100-leastWidth) },
		"width":   func(b timeline.Bar) float64 { return max(b.Width, leastWidth) },
		"pretty":  pretty,
		"state":   timeline.StateOf,
		"lower":   strings.ToLower,
		"join":    strings.Join,
		"sign":    func(s timeline.State) sign { return signs[s] },
	}).ParseFS(static, "static/*.html")
}

// page is what every page has.
type page struct {
	Title   string
	Mail    mailview.Catcher
	Samples []Sample
}

// Signs are the signs of all states, as JSON.
func (page) Signs() (string, error) {
	data, err := json.Marshal(signs)
	return string(data), err
}

func (d *Dashboard) page(title string) page {
	return page{Title: title, Mail: d.catcher(), Samples: d.options.Samples}
}

// catcher returns the stack's mail catcher; the zero value where it has none.
func (d *Dashboard) catcher() mailview.Catcher {
	for _, info := range d.stack.Describe() {
		if info.Service == harness.ServiceMailHog && info.MailCatcher != "" {
			return mailview.Catcher{Program: info.MailCatcher, URL: d.stack.Inbox().BaseURL(), HasPage: info.HasUI}
		}
	}
	return mailview.Catcher{}
}

// render writes a page, or an error alone.
func (d *Dashboard) render(w http.ResponseWriter, name string, data any) {
	var out bytes.Buffer
	if err := d.pages.ExecuteTemplate(&out, name, data); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // an error means that the browser has gone
}

func (d *Dashboard) getBoard(w http.ResponseWriter, _ *http.Request) {
	d.render(w, "board.html", d.page("Events"))
}

// eventPage is the page of one event.
type eventPage struct {
	page
	Trace    *harness.Trace
	State    timeline.State
	Note     string
	Timeline *timeline.Timeline
	Runs     []runView
	Mail     []mailSection
	Problem  string
}

type runView struct {
	*harness.TraceRun
	// URL is the run in Inngest's own pages; empty where the server has none.
	URL string
}

// mailSection is an email on a page. Mark changes with what is shown.
type mailSection struct {
	ID, Mark string
	HTML     template.HTML
	Inferred bool
}

// Mark tells the script of the page whether what a section shows has changed.
func (eventPage) Mark(v ...any) string {
	h := fnv.New64a()
	_ = json.NewEncoder(h).Encode(v) // a hash does not fail, and a trace can be encoded
	return fmt.Sprintf("%x", h.Sum64())
}

// Given returns the input of a step of a run, in the form in which Inngest hands it to an app: the event's data, if this
// page's event started the run, and what the steps before it returned.
func (p eventPage) Given(r runView, i int) (json.RawMessage, error) {
	var given struct {
		Event json.RawMessage            `json:"event,omitempty"`
		Steps map[string]json.RawMessage `json:"steps"`
	}
	if r.EventID == p.Trace.EventID {
		given.Event = p.Trace.Event.Data
	}
	given.Steps = map[string]json.RawMessage{}
	for _, s := range r.Before(i) {
		given.Steps[s.ID] = s.Output
	}
	return json.Marshal(given)
}

// Number counts from one.
func (eventPage) Number(i int) int { return i + 1 }

func (d *Dashboard) getEvent(w http.ResponseWriter, r *http.Request) {
	tr, err := d.traceOf(r.Context(), r.PathValue("id"))
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		d.render(w, "event.html", eventPage{page: d.page("No such event"), Problem: err.Error()})
		return
	}
	p := eventPage{page: d.page(tr.Event.Name), Trace: tr, Timeline: timeline.Of(tr)}
	p.State, p.Note = stateOf(tr)
	for i := range tr.Runs {
		p.Runs = append(p.Runs, runView{TraceRun: &tr.Runs[i], URL: d.stack.RunURL(tr.Runs[i].ID)})
	}
	for _, m := range tr.Mail {
		s, err := d.mailSection(m.Message)
		if err != nil {
			p.Problem = err.Error()
			continue
		}
		s.Inferred = m.Inferred
		p.Mail = append(p.Mail, s)
	}
	name := "event.html"
	if r.URL.Query().Has("part") {
		name = "trace"
	}
	d.render(w, name, p)
}

// lookAgain is how often the server is asked for an event that it does not show yet.
const lookAgain = 25 * time.Millisecond

// traceOf returns the trace of an event. It waits for an event that the server has just received and does not show yet.
func (d *Dashboard) traceOf(ctx context.Context, id string) (*harness.Trace, error) {
	ctx, cancel := context.WithTimeout(ctx, traceTimeout)
	defer cancel()
	for {
		tr, err := d.stack.Trace(ctx, id)
		if err != nil || tr.Event != nil {
			return tr, err
		}
		if u, err := ulid.ParseStrict(id); err != nil || time.Since(u.Timestamp()) > inngestapi.VisibleWithin {
			return nil, fmt.Errorf("event %s: %w", id, inngestapi.ErrNotFound)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

func (d *Dashboard) getTrace(w http.ResponseWriter, r *http.Request) {
	tr, err := d.traceOf(r.Context(), r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	data, err := json.MarshalIndent(tr, "", "  ")
	if err != nil {
		http.Error(w, "the trace cannot be written: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(data, '\n')) // fails only if the browser has disconnected
}

func (d *Dashboard) mailSection(m *harness.Message) (mailSection, error) {
	id := "mail-" + strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' {
			return c
		}
		return '_'
	}, m.ID)
	fragment, err := mailview.Render(m, mailview.Options{
		ID: id, Frame: "/mail/" + m.ID + "/document", Mail: d.catcher(), Clock: clock,
	})
	return mailSection{ID: id, Mark: m.ID, HTML: fragment}, err
}

func (d *Dashboard) getMail(w http.ResponseWriter, r *http.Request) {
	m, ok := d.message(w, r)
	if !ok {
		return
	}
	s, err := d.mailSection(m)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	d.render(w, "mail.html", struct {
		page
		Mail mailSection
	}{d.page(m.Subject), s})
}

// getDocument serves an email's HTML for a frame. It is harmless in a tab too.
func (d *Dashboard) getDocument(w http.ResponseWriter, r *http.Request) {
	m, ok := d.message(w, r)
	if !ok {
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "sandbox; frame-ancestors 'self'; "+mailview.Policy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(mailview.Document(m, "#").HTML))
}

// message finds the email that a request names, as a trace shows it, or answers that there is none.
func (d *Dashboard) message(w http.ResponseWriter, r *http.Request) (*harness.Message, bool) {
	m, err := d.stack.Inbox().Get(r.Context(), r.PathValue("id"))
	if err == nil {
		m = d.stack.Redactor().Mail(m)
	}
	switch {
	case errors.Is(err, inbox.ErrNotFound):
		http.Error(w, "This email is no longer in the inbox.", http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
	return m, err == nil
}

// getLog serves the end of a service's log.
func (d *Dashboard) getLog(w http.ResponseWriter, r *http.Request) {
	service := harness.Service(r.PathValue("service"))
	if !slices.Contains([]harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceInngest, harness.ServiceApp}, service) {
		http.Error(w, "There is no such service.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, strings.ToValidUTF8(strings.Join(d.stack.Tail(service), "\n"), "\uFFFD"))
}

func getStatic(w http.ResponseWriter, r *http.Request) {
	switch name := r.PathValue("name"); {
	case name == "mailview.css":
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write([]byte(mailview.CSS()))
	case path.Ext(name) == ".html": // a template
		http.NotFound(w, r)
	default:
		http.ServeFileFS(w, r, static, path.Join("static", name))
	}
}

// pretty indents JSON for a person.
func pretty(data json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, data, "", "  ") != nil {
		return strings.ToValidUTF8(string(data), "\uFFFD")
	}
	return out.String()
}

// A sign shows a state: by an icon, so that it can be told without its colour, and in words.
type sign struct {
	Icon  string `json:"icon"`
	Label string `json:"label"`
}

// signs are also what the script of the board shows, which finds them in its page.
var signs = map[timeline.State]sign{
	timeline.Waiting:   {"○", "waiting"},
	timeline.Running:   {"◐", "running"},
	timeline.Completed: {"✓", "completed"},
	timeline.Failed:    {"✕", "failed"},
	stateUnsubscribed:  {"∅", "no function"},
	stateDuplicate:     {"=", "duplicate"},
	stateMail:          {"✉", "email"},
}
