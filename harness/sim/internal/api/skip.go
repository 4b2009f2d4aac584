package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/xhit/go-str2duration/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

// SkipPath is where the clock is put forward: by a duration (by), or to a time (until), for all or for what descends from a run
// (run) or from an event (event).
const SkipPath = "/sim/skip"

// Skipped is the answer of [SkipPath].
type Skipped struct {
	Now   time.Time `json:"now"` // virtual; of a run or an event, what it sees
	Error string    `json:"error,omitempty"`
}

// skip lets time pass.
func (s *server) skip(w http.ResponseWriter, r *http.Request) {
	of := engine.Root{Run: r.URL.Query().Get("run"), Event: r.URL.Query().Get("event")}
	now, err := s.engine.TimeOf(of)
	if err != nil {
		reply(w, http.StatusNotFound, Skipped{s.engine.Now(), err.Error()})
		return
	}
	d, err := skipped(now, r.URL.Query().Get("by"), r.URL.Query().Get("until"))
	if err != nil {
		reply(w, http.StatusBadRequest, Skipped{now, err.Error()})
		return
	}
	if of != (engine.Root{}) {
		now, err = s.options.AdvanceFor(r.Context(), of, d)
	} else {
		err = s.options.Advance(r.Context(), d)
		now = s.engine.Now()
	}
	status := http.StatusOK
	switch {
	case errors.Is(err, engine.ErrNoRun), errors.Is(err, engine.ErrNoEvent):
		status = http.StatusNotFound
	case err != nil:
		status = http.StatusServiceUnavailable
	default:
		reply(w, status, Skipped{Now: now})
		return
	}
	reply(w, status, Skipped{cmp.Or(now, s.engine.Now()), err.Error()})
}

// skipped reads how much time to skip.
func skipped(now time.Time, by, until string) (d time.Duration, err error) {
	if until == "" {
		if d, err = str2duration.ParseDuration(by); err != nil || d < 0 {
			return 0, errors.New("say by how much, as in ?by=24h or ?by=3d, or until when, as in ?until=2027-01-01T09:00:00Z")
		}
		return d, nil
	}
	at, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return 0, fmt.Errorf("until is %q: give a time with its zone, as in 2027-01-01T09:00:00Z", until)
	}
	if at.Before(now) {
		return 0, fmt.Errorf("it is %s, which is later than %s: time goes forward only", now.Format(time.RFC3339), at.Format(time.RFC3339))
	}
	return at.Sub(now), nil
}
