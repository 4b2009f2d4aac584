package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// postSend sends the sample that the form names.
func (d *Dashboard) postSend(w http.ResponseWriter, r *http.Request) {
	name := r.PostFormValue("sample")
	for _, s := range d.options.Samples {
		if s.Name == name {
			event, said, err := d.send(r.Context(), s)
			d.answer(w, r, event, said, err)
			return
		}
	}
	d.answer(w, r, "", "", fmt.Errorf("there is no sample %q", name))
}

// postAgain sends an event again.
func (d *Dashboard) postAgain(w http.ResponseWriter, r *http.Request) {
	event, err := d.again(r.Context(), r.PathValue("id"))
	d.answer(w, r, event, "Sent again", err)
}

func (d *Dashboard) again(ctx context.Context, id string) (string, error) {
	e, err := d.stack.Event(ctx, id)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(e.Name, "inngest/") {
		return "", fmt.Errorf("%s is an event that the server itself makes: send the one that led to it", e.Name)
	}
	return d.sendFresh(ctx, harness.Event{Name: e.Name, Data: e.Data})
}

func (d *Dashboard) postClear(w http.ResponseWriter, r *http.Request) {
	asked := time.Now()
	err := d.stack.Inbox().Clear(r.Context())
	if err == nil {
		d.board.forgetMail(asked)
	}
	d.answer(w, r, "", "The inbox is empty", err)
}

func (d *Dashboard) postSync(w http.ResponseWriter, r *http.Request) {
	d.answer(w, r, "", "The app is synced", d.stack.App().Sync(r.Context()))
}

// answer reports the result of an action: as JSON to a script, and by a redirect to a browser without scripts.
func (d *Dashboard) answer(w http.ResponseWriter, r *http.Request, event, said string, err error) {
	status := http.StatusOK
	if err != nil {
		status, said = http.StatusBadGateway, err.Error()
		if errors.Is(err, inngestapi.ErrNotFound) {
			status = http.StatusNotFound
		}
	}
	if r.Header.Get("Accept") == "application/json" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"said": said, "event": event})
		return
	}
	switch {
	case err != nil:
		http.Error(w, said, status)
	case event != "":
		http.Redirect(w, r, "/event/"+event, http.StatusSeeOther)
	default:
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}
