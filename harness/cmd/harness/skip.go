package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

func skipCommand(std stdio) *cobra.Command {
	var until, run, event string
	var s stackapi.Skip
	cmd := &cobra.Command{
		Use:        "skip DURATION | --until TIME",
		SuggestFor: []string{"advance", "forward", "jump"},
		Short:      "put the clock of a stack's Inngest forward",
		Long: `skip puts the clock forward by which a stack's Inngest counts sleeps, retries, timeouts and schedules, and
returns when all that is due in that time has been done. It needs a stack whose Inngest is sim: the dev
server cannot skip time. The app's own clock stays.

With --event, time passes for what one event leads to alone: the runs that it started, those that descend from
them, and the throttles, debounces and batches in which they or their events wait. With --run it is the same
for one run: which it invoked, which the events that its steps sent started, and which its end started. Other
runs, schedules and limits stay as they are, so tests on one stack do not move each other's time.`,
		Example: `  harness up --inngest sim -- npm start
  harness skip 24h
  harness skip 3d
  harness skip --until 2027-01-01T09:00          # in the local time zone
  harness skip --event 01JDD9WRP1F5G1Y9ZVC4Q4XKZS 1w`,
		Args: between(0, 1, "a duration, as in 24h or 3d, or --until and a time"),
	}
	asJSON := jsonFlag(cmd, "print the time as JSON")
	cmd.Flags().StringVar(&until, "until", "", "skip to a `TIME` instead: 2027-01-01T09:00 or 2027-01-01, local unless a zone is given as in\n2027-01-01T09:00:00Z")
	cmd.Flags().StringVar(&run, "run", "", "let time pass for the run with this `ID`, and those that descend from it, alone")
	cmd.Flags().StringVar(&event, "event", "", "let time pass for what the event with this `ID` leads to alone")
	cmd.MarkFlagsMutuallyExclusive("run", "event")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		switch {
		case len(args) == 0 && until == "":
			return usagef("`harness skip` needs a duration, as in 24h or 3d, or --until and a time; see `harness skip --help`")
		case len(args) > 0 && until != "":
			return usagef("give a duration or --until, not both")
		case len(args) > 0:
			by, err := parseDuration(args[0])
			if s.By = jsontime.Duration(by); err != nil || by <= 0 {
				return usagef("%q is no time to skip: give a duration, as in 24h, 90s, 3d or 2w", args[0])
			}
		default:
			if s.Until, err = parseTime(until); err != nil {
				return usagef("--until %q: %w", until, err)
			}
		}
		if run != "" {
			s.Run = &run
			if !stackapi.IsEventID(run) {
				return usagef("--run %q is no id of a run: it is 26 letters and digits, as `harness runs` shows", run)
			}
		}
		if event != "" {
			s.Event = &event
			if !stackapi.IsEventID(event) {
				return usagef("--event %q is no id of an event: it is 26 letters and digits, as `harness send` tells", event)
			}
		}
		c, err := std.connect(cmd.Context(), inngestOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		done := newPrinter(std).waiting("skip", "waiting until what is due has been done, and the app has answered")
		now, err := c.Skip(cmd.Context(), s)
		done()
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(std.out, now)
		}
		clock := "Inngest"
		switch {
		case run != "":
			clock = "run " + run
		case event != "":
			clock = "event " + event
		}
		fmt.Fprintf(std.out, "for %s it is %s\n", clock, now.Now.Local().Format(time.DateTime))
		return nil
	}
	return cmd
}

// parseTime reads a time, which is local unless it names a zone.
func parseTime(text string) (at time.Time, err error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if at, err = time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return at, errors.New("give a time, as in 2027-01-01T09:00")
}
