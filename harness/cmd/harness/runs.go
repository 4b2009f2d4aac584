package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

func runsCommand(io stdio) *cobra.Command {
	var limit int
	var all bool
	cmd := &cobra.Command{
		Use:        "runs [EVENT-ID]",
		SuggestFor: []string{"events", "trace"},
		Short:      "show the runs that events started",
		Long: `runs shows the latest events, newest first, each with the runs it started. With EVENT-ID, the ULID that
sending the event returned, it shows the runs of that event alone, with their steps, outputs and errors. The
list has what was sent before to the stack that is up here; that of another server may lag by half a second.

With --all it also shows the events of the server itself, whose names begin with inngest/: those start
crons, invoked functions and handlers of failures.`,
		Example: `  harness runs
  harness runs 01JDD9WRP1F5G1Y9ZVC4Q4XKZS
  harness runs --all
  harness runs --json | jq -r '.[].runs[] | select(.status == "FAILED") | .error'`,
		Annotations: exitStatus("0  shown, whatever the statuses of the runs\n1  the server knows no such event, or no stack is up\n2  the command line was wrong"),
		Args:        between(0, 1, "the id of one event"),
	}
	asJSON := jsonFlag(cmd, "print them as a JSON array of events")
	cmd.Flags().BoolVar(&all, "all", false, "also show what events of the server started: crons, invocations, handlers of failures")
	cmd.Flags().IntVar(&limit, "limit", 20, "how many events to show")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if limit < 1 {
			return usagef("--limit %d: it is a number of events, 1 at least", limit)
		}
		if len(args) == 1 && !stackapi.IsEventID(args[0]) {
			return usagef("%q is no id of an event: it is the ULID that sending one returned, 26 letters and digits", args[0])
		}
		c, err := io.connect(cmd.Context(), inngestOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		var events []stackapi.Event
		if len(args) == 1 {
			events = make([]stackapi.Event, 1)
			events[0], err = c.Event(cmd.Context(), args[0])
		} else {
			events, err = c.Events(cmd.Context(), limit, all)
		}
		if err != nil {
			return err
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
			printEvent(&b, e, len(args) > 0)
		}
		_, err = fmt.Fprint(io.out, io.paint(io.out).marks(safe(b.String())))
		return err
	}
	cmd.ValidArgsFunction = io.completeIDs(inngestOnly, func(ctx context.Context, c client) (ids []string, err error) {
		events, err := c.Events(ctx, completions, false)
		for _, e := range events {
			ids = append(ids, cobra.CompletionWithDesc(e.EventID, oneLine(e.Name)))
		}
		return ids, err
	})
	return cmd
}

// printEvent writes an event and its runs, one alone with their addresses.
func printEvent(b *strings.Builder, e stackapi.Event, alone bool) {
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
			if n := len(s.Attempts); n > 1 {
				fmt.Fprintf(b, "  after %d attempts", n)
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
