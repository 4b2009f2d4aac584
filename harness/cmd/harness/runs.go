package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// eventView is an event with its runs, as JSON.
type eventView struct {
	EventID  string          `json:"eventId"`
	ID       string          `json:"id,omitempty"` // the sender's
	Name     string          `json:"name"`
	Data     json.RawMessage `json:"data,omitempty"`
	Received time.Time       `json:"received"`
	Runs     []runView       `json:"runs"`
	// Decisions are what flow control did to the event, without those about its runs. Only sim tells.
	Decisions []decisionView `json:"decisions,omitempty"`
}

type decisionView struct {
	Function string `json:"function"` // with the app's id in front
	Text     string `json:"text"`
	Pending  bool   `json:"pending,omitempty"` // something is still to come
}

type runView struct {
	ID       string          `json:"id"`
	URL      string          `json:"url,omitempty"` // in Inngest's page
	Function string          `json:"function"`
	App      string          `json:"app,omitempty"`
	Status   harness.Status  `json:"status"`
	Output   json.RawMessage `json:"output,omitempty"`
	Error    string          `json:"error,omitempty"`
	Queued   time.Time       `json:"queued,omitzero"`
	Started  time.Time       `json:"started,omitzero"`
	Ended    time.Time       `json:"ended,omitzero"`
	Steps    []stepView      `json:"steps,omitempty"`
	// Decisions are what flow control did to the run. Only sim tells.
	Decisions []string `json:"decisions,omitempty"`
}

type stepView struct {
	ID       string          `json:"id"`
	Op       string          `json:"op,omitempty"`
	Status   harness.Status  `json:"status"`
	Attempts int             `json:"attempts"`
	Output   json.RawMessage `json:"output,omitempty"`
	Error    string          `json:"error,omitempty"`
	Started  time.Time       `json:"started,omitzero"`
	Ended    time.Time       `json:"ended,omitzero"`
}

func runsCommand(io stdio) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:        "runs [EVENT-ID]",
		SuggestFor: []string{"events", "trace"},
		Short:      "show the runs that events started",
		Long: `runs shows the latest events, newest first, each with the runs it started. With EVENT-ID, the ULID that
sending the event returned, it shows the runs of that event alone, with their steps, outputs and errors.`,
		Example: `  harness runs
  harness runs 01JDD9WRP1F5G1Y9ZVC4Q4XKZS
  harness runs --json | jq -r '.[].runs[] | select(.status == "FAILED") | .error'`,
		Annotations: exitStatus("0  shown, whatever the statuses of the runs\n1  the server knows no such event, or no stack is up\n2  the command line was wrong"),
		Args:        between(0, 1, "the id of one event"),
	}
	asJSON := jsonFlag(cmd, "print them as a JSON array of events")
	cmd.Flags().IntVar(&limit, "limit", 20, "how many events to show")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 1 {
			return usagef("--limit %d: it is a number of events, 1 at least", limit)
		}
		if len(args) == 1 && !isEventID(args[0]) {
			return usagef("%q is no id of an event: it is the ULID that sending one returned, 26 letters and digits", args[0])
		}
		st, err := io.attached(cmd.Context(), inngestOnly, stack.Options{})
		if err != nil {
			return err
		}
		defer st.Close(cmd.Context())
		var received []inngestapi.ReceivedEvent
		if len(args) == 1 {
			received = make([]inngestapi.ReceivedEvent, 1)
			received[0], err = knownEvent(cmd.Context(), st.API(), args[0])
		} else {
			received, err = latestEvents(cmd.Context(), st.API(), limit)
		}
		if err != nil {
			return err
		}
		events := make([]eventView, len(received))
		for i, e := range received {
			if events[i], err = viewEvent(cmd.Context(), st.API(), e, len(args) > 0); err != nil {
				return err
			}
			for j := range events[i].Runs {
				run := &events[i].Runs[j]
				run.URL = st.RunURL(run.ID)
			}
			events[i] = stack.Redact(st.Redactor(), events[i])
		}
		if *asJSON {
			return writeJSON(io.out, events)
		}
		if len(events) == 0 {
			fmt.Fprintln(io.out, "no events yet: `harness send` sends one")
			return nil
		}
		var b strings.Builder
		for _, e := range events {
			e.print(&b, len(args) > 0)
		}
		if page := st.RunURL("RUN"); page != "" && len(args) == 0 {
			fmt.Fprintf(&b, "\na run in Inngest's page: %s\n", page)
		}
		_, err = fmt.Fprint(io.out, io.paint(io.out).marks(safe(b.String())))
		return err
	}
	cmd.ValidArgsFunction = io.completeIDs(inngestOnly, func(ctx context.Context, st *stack.Stack) (ids []string, err error) {
		events, err := latestEvents(ctx, st.API(), completions)
		for _, e := range events {
			ids = append(ids, cobra.CompletionWithDesc(e.EventID, oneLine(st.Redactor().Text(e.Name))))
		}
		return ids, err
	})
	return cmd
}

// isEventID reports whether a server may have given an event this id.
func isEventID(id string) bool {
	_, err := ulid.ParseStrict(id)
	return err == nil
}

// ingestTimeout is how long the server may take to ingest an event that it has acknowledged.
const ingestTimeout = time.Second

// knownEvent returns an event. The server answers a sender a moment before it can return the event.
func knownEvent(ctx context.Context, api *inngestapi.Client, id string) (e inngestapi.ReceivedEvent, err error) {
	waiting, cancel := context.WithTimeout(ctx, ingestTimeout)
	defer cancel()
	unknown := poll.Until(waiting, pollInterval, func(context.Context) error {
		if e, err = api.Event(ctx, id); errors.Is(err, inngestapi.ErrNotFound) {
			return err
		}
		return nil // found, or an error that waiting does not change
	})
	if unknown != nil && ctx.Err() == nil {
		err = fmt.Errorf("the Inngest server knows no event %s: `harness runs` lists the latest", id)
	}
	return e, err
}

// sinceEver reaches back beyond the first event of a server that keeps events in memory.
const sinceEver = 30 * 24 * time.Hour

func latestEvents(ctx context.Context, api *inngestapi.Client, limit int) ([]inngestapi.ReceivedEvent, error) {
	return api.Events(ctx, inngestapi.EventFilter{Since: time.Now().Add(-sinceEver), Limit: limit})
}

// viewEvent returns an event with its runs, and with their steps where these are asked for.
func viewEvent(ctx context.Context, api *inngestapi.Client, e inngestapi.ReceivedEvent, steps bool) (eventView, error) {
	v := eventView{EventID: e.EventID, ID: e.IdempotencyKey, Name: e.Name, Data: e.Data, Received: e.Received, Runs: []runView{}}
	if v.ID == v.EventID {
		v.ID = "" // the sender gave none
	}
	runs, err := api.EventRuns(ctx, e.EventID)
	if err != nil {
		return v, err
	}
	decisions, err := api.Decisions(ctx, e.EventID)
	if err != nil {
		return v, err
	}
	for _, d := range decisions {
		if d.Run == "" {
			v.Decisions = append(v.Decisions, decisionView{d.Function, d.Text, d.Pending})
		}
	}
	for _, r := range runs {
		run := runView{
			ID: r.ID, Function: r.Function, App: r.App, Status: r.Status, Output: r.Output, Error: r.Error,
			Queued: r.Queued, Started: r.Started, Ended: r.Ended,
		}
		if steps {
			trace, err := api.Trace(ctx, r.ID)
			if err != nil && !errors.Is(err, inngestapi.ErrNotFound) { // a run that is still queued has none
				return v, err
			}
			for _, s := range trace.Steps {
				run.Steps = append(run.Steps, stepView{
					ID: s.ID, Op: s.Op, Status: s.Status, Attempts: len(s.Attempts), Output: s.Output, Error: s.Error,
					Started: s.Started, Ended: s.Ended,
				})
			}
		}
		for _, d := range decisions {
			if d.Run == r.ID {
				run.Decisions = append(run.Decisions, d.Text)
			}
		}
		v.Runs = append(v.Runs, run)
	}
	return v, nil
}

// print writes an event and its runs, one alone with their addresses.
func (e eventView) print(b *strings.Builder, alone bool) {
	fmt.Fprintf(b, "%s  %s  %s\n", e.EventID, e.Received.Local().Format(timeOfDay), oneLine(e.Name))
	for _, d := range e.Decisions {
		fmt.Fprintf(b, "  … %s  %s\n", oneLine(d.Function), oneLine(d.Text))
	}
	if len(e.Runs)+len(e.Decisions) == 0 {
		b.WriteString("  … no run\n")
	}
	for _, r := range e.Runs {
		fmt.Fprintf(b, "  %s %s  %s%s  run %s\n", mark(r.Status), oneLine(r.Function), r.Status, took(r.Started, r.Ended), r.ID)
		for _, d := range r.Decisions {
			fmt.Fprintf(b, "      %s\n", oneLine(d))
		}
		if r.Error != "" {
			fmt.Fprintf(b, "      %s\n", oneLine(r.Error))
		}
		if r.URL != "" && alone {
			fmt.Fprintf(b, "      %s\n", r.URL)
		}
		for _, s := range r.Steps {
			fmt.Fprintf(b, "      %s %s  %s%s", mark(s.Status), oneLine(s.ID), s.Status, took(s.Started, s.Ended))
			if s.Attempts > 1 {
				fmt.Fprintf(b, "  after %d attempts", s.Attempts)
			}
			b.WriteString("\n")
			if s.Error != "" {
				fmt.Fprintf(b, "          %s\n", oneLine(s.Error))
			}
			if len(s.Output) > 0 {
				fmt.Fprintf(b, "          %s\n", text.Clip(oneLine(string(s.Output)), 160))
			}
		}
	}
}

const timeOfDay = "15:04:05.000"

// mark returns the mark of a status in a tree.
func mark(status harness.Status) string {
	switch status {
	case harness.StatusCompleted:
		return "✓"
	case harness.StatusFailed, harness.StatusCancelled:
		return "✗"
	default:
		return "…"
	}
}

func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return "  " + text.Elapsed(to.Sub(from)).String()
}
