package stackapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// IsEventID reports whether a server may have given an event this id.
func IsEventID(id string) bool {
	_, err := ulid.ParseStrict(id)
	return err == nil
}

func (s *Server) send(ctx context.Context, in body[json.RawMessage]) ([]SentEvent, error) {
	list := []json.RawMessage{in.Body}
	if bytes.HasPrefix(in.Body, []byte("[")) {
		if err := json.Unmarshal(in.Body, &list); err != nil {
			return nil, invalidf("the events: %w", err)
		}
	}
	if len(list) == 0 {
		return nil, invalidf("the list has no event")
	}
	events := make([]harness.Event, len(list))
	for i, one := range list {
		var err error
		if events[i], err = harness.ParseEvent(one); err != nil {
			return nil, invalidf("event %d: %w", i+1, err)
		}
	}
	ids, err := s.stack.Send(ctx, events...)
	var sent []SentEvent
	var accepted []string
	for i, id := range ids {
		if id != "" {
			accepted = append(accepted, id)
			sent = append(sent, SentEvent{id, events[i].IdempotencyKey, events[i].Name})
		}
	}
	if err != nil && len(accepted) > 0 {
		err = fmt.Errorf("%w; it accepted %s", err, strings.Join(accepted, ", "))
	}
	return sent, err
}

// The bounds of a request for events. sinceEver reaches back beyond the first event of a server that keeps events in memory.
const (
	defaultEvents = 20
	sinceEver     = 30 * 24 * time.Hour
)

func (s *Server) getEvents(ctx context.Context, in eventQuery) ([]Event, error) {
	limit := cmp.Or(in.Limit, defaultEvents)
	if err := s.stack.AwaitShown(ctx, limit); err != nil {
		return nil, err
	}
	received, err := s.stack.API().Events(ctx, inngestapi.EventFilter{
		Since: time.Now().Add(-sinceEver), Limit: limit, Internal: in.All,
	})
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(received))
	for i, e := range received {
		if events[i], err = s.event(ctx, e); err == nil && in.Steps && len(events[i].Runs) > 0 {
			err = s.addSteps(ctx, &events[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return events, nil
}

func (s *Server) getEvent(ctx context.Context, in oneEvent) (Event, error) {
	received, err := s.find(ctx, in.ID)
	if err != nil {
		return Event{}, err
	}
	e, err := s.event(ctx, received)
	if err == nil {
		err = s.addSteps(ctx, &e)
	}
	return e, err
}

// addSteps adds their steps to the runs of an event.
func (s *Server) addSteps(ctx context.Context, e *Event) error {
	trace, err := s.stack.Trace(ctx, e.EventID)
	if err != nil {
		return err
	}
	for i, r := range e.Runs {
		j := slices.IndexFunc(trace.Runs, func(t harness.TraceRun) bool { return t.ID == r.ID })
		if j >= 0 {
			e.Runs[i].Steps, e.Runs[i].StepsUnknown = trace.Runs[j].Steps, trace.Runs[j].StepsUnknown
		}
	}
	return nil
}

// find returns an event by its id.
func (s *Server) find(ctx context.Context, id string) (inngestapi.ReceivedEvent, error) {
	if !IsEventID(id) {
		return inngestapi.ReceivedEvent{}, invalidf("%q is no id of an event: it is the ULID that sending one returned, 26 letters and digits", id)
	}
	e, err := s.stack.Event(ctx, id)
	if errors.Is(err, inngestapi.ErrNotFound) {
		err = notFoundf("the Inngest server knows no event %s: `harness runs` lists the latest", id)
	}
	return e, err
}

// event returns an event with its runs, without their steps.
func (s *Server) event(ctx context.Context, e inngestapi.ReceivedEvent) (Event, error) {
	v := Event{SentEvent: SentEvent{e.EventID, e.IdempotencyKey, e.Name}, Data: e.Data, Received: e.Received, Runs: []harness.TraceRun{}}
	if v.IdempotencyKey == v.EventID {
		v.IdempotencyKey = "" // the sender gave none
	}
	runs, err := s.stack.API().EventRuns(ctx, e.EventID)
	if err != nil {
		return v, err
	}
	decisions, err := s.stack.API().Decisions(ctx, e.EventID)
	if err != nil {
		return v, err
	}
	for _, d := range decisions {
		if d.Run == "" {
			v.Decisions = append(v.Decisions, Decision{d.Function, d.Text, d.Pending})
		}
	}
	for _, r := range runs {
		run := harness.TraceRun{
			ID: r.ID, URL: s.stack.RunURL(r.ID), Function: r.Function, App: r.App, EventID: e.EventID, Status: r.Status, Skipped: r.Skipped,
			Output: r.Output, Error: r.Error, Queued: r.Queued, Started: r.Started, Ended: r.Ended, Steps: []harness.TraceStep{},
		}
		for _, d := range decisions {
			if d.Run == r.ID {
				run.Decisions = append(run.Decisions, d.Text)
			}
		}
		v.Runs = append(v.Runs, run)
	}
	return stack.Redact(s.stack.Redactor(), v), nil
}

func (s *Server) getTrace(ctx context.Context, in traceQuery) (*harness.Trace, error) {
	if _, err := s.find(ctx, in.ID); err != nil {
		return nil, err
	}
	return s.stack.Trace(ctx, in.ID, in.To...)
}

// invoke starts a function. The server takes any name of one, so it is looked for first.
func (s *Server) invoke(ctx context.Context, in body[Invocation]) (SentEvent, error) {
	if in.Body.Function == "" {
		return SentEvent{}, invalidf("it names no function")
	}
	if data := bytes.TrimSpace(in.Body.Data); len(data) > 0 && data[0] != '{' {
		return SentEvent{}, invalidf("its data is no JSON object")
	}
	found, err := s.functions(ctx, in.Body.Function)
	if err != nil {
		return SentEvent{}, err
	}
	if len(found) > 1 {
		return SentEvent{}, invalidf("several functions are called %q: say which, with the app's id in front: %s", in.Body.Function, strings.Join(found, ", "))
	}
	id, err := s.stack.Invoke(ctx, found[0], in.Body.Data)
	return SentEvent{EventID: id, Name: inngestapi.EventInvoked}, err
}

// functions returns the ids, with the app's in front, of the functions that a name stands for. That there is none is an error.
func (s *Server) functions(ctx context.Context, name string) (found []string, err error) {
	all, err := s.stack.API().Functions(ctx)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, f := range all {
		full := f.App + "-" + f.ID
		known = append(known, full)
		if f.ID == name || full == name {
			found = append(found, full)
		}
	}
	if len(found) == 0 {
		return nil, notFoundf("there is no function %q; registered: %s", name, cmp.Or(strings.Join(known, ", "), "none"))
	}
	return found, nil
}
