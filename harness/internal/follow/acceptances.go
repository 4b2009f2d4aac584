package follow

import (
	"context"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// acceptances are the events that the server has accepted within the last [inngestapi.VisibleWithin], the latest last.
type acceptances []acceptance

type acceptance struct {
	eventID string
	at      time.Time
}

func (a *acceptances) add(eventID string) {
	a.forgetShown()
	*a = append(*a, acceptance{eventID, time.Now()})
}

// forgetShown drops the events that the server shows by now.
func (a *acceptances) forgetShown() {
	for len(*a) > 0 && time.Since((*a)[0].at) > inngestapi.VisibleWithin {
		*a = (*a)[1:]
	}
}

// Accepted returns the ULIDs of events that the server has accepted, as a ledger knows, and may not show yet: the latest n at most.
func Accepted(ctx context.Context, l *Ledger, n int) ([]string, error) {
	if err := l.catchUp(ctx); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent.forgetShown()
	var ids []string
	for _, a := range l.recent[max(0, len(l.recent)-n):] {
		ids = append(ids, a.eventID)
	}
	return ids, nil
}
