package stackapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func (s *Server) skip(ctx context.Context, in body[Skip]) (Skipped, error) {
	q := sim.Skipping{By: time.Duration(in.Body.By), Until: in.Body.Until}
	for name, id := range map[string]*string{"run": in.Body.Run, "event": in.Body.Event} {
		switch {
		case id == nil:
		case *id == "":
			return Skipped{}, invalidf("%s is empty: without it time passes for all", name)
		case name == "run":
			q.Run = *id
		default:
			q.Event = *id
		}
	}
	if (q.By == 0) == q.Until.IsZero() {
		return Skipped{}, invalidf("say how much time passes: give one of by, which is not 0, and until")
	}
	if q.Run != "" && q.Event != "" {
		return Skipped{}, invalidf("say for what time passes: for a run or for an event, not for both")
	}
	now, err := sim.Skip(ctx, s.stack.Endpoints().Inngest, q)
	switch {
	case err == nil, errors.Is(err, sim.ErrNoSim), errors.As(err, new(*url.Error)): // all is well, or the request is not at fault
	case errors.Is(err, sim.ErrNoRun), errors.Is(err, sim.ErrNoEvent):
		err = notFoundf("%w", err)
	default:
		err = invalidf("%w", err)
	}
	return Skipped{now}, err
}

func (s *Server) replace(ctx context.Context, in body[json.RawMessage]) (Replaced, error) {
	all, err := sim.ParseInterventions(in.Body)
	if err != nil {
		return Replaced{}, invalidf("%w", err)
	}
	var names []string
	for _, r := range all.Replace {
		names = append(names, r.Function)
	}
	for _, f := range all.Faults {
		names = append(names, f.Function)
	}
	for _, stub := range all.Stubs {
		names = append(names, stub.Function)
	}
	for _, name := range names { // what is said of a function that does not exist would have no effect
		if name == "" {
			continue
		}
		if _, err := s.functions(ctx, name); err != nil {
			return Replaced{}, err
		}
	}
	unused, err := sim.Intervene(ctx, s.stack.Endpoints().Inngest, all)
	return Replaced{len(all.Replace), len(all.Faults), len(all.Stubs), unused}, err
}
