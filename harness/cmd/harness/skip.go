package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func skipCommand(std stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "skip DURATION",
		SuggestFor: []string{"advance", "forward", "jump"},
		Short:      "put the clock of a stack's Inngest forward",
		Long: `skip puts the clock forward by which a stack's Inngest counts sleeps, retries, timeouts and schedules, and
returns when all that is due in that time has been done. It needs a stack whose Inngest is sim: the dev
server cannot skip time. The app's own clock stays.`,
		Example: `  harness up --inngest sim -- npm start
  harness skip 24h`,
		Args: between(1, 1, "a duration, as in 24h"),
	}
	asJSON := jsonFlag(cmd, "print the time as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d, err := time.ParseDuration(args[0])
		if err != nil || d <= 0 {
			return usagef("%q is no time to skip: give a duration, as in 24h or 90s", args[0])
		}
		state, err := findState()
		if err != nil {
			return err
		}
		now, err := sim.Skip(cmd.Context(), state.Inngest.URL, d)
		if errors.Is(err, sim.ErrNoSim) {
			return fmt.Errorf("the Inngest of this stack is the dev server, which cannot skip time: start the stack with `harness up --inngest %s`", inngestSim)
		}
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(std.out, map[string]time.Time{"now": now})
		}
		fmt.Fprintf(std.out, "for Inngest it is %s\n", now.Local().Format(time.DateTime))
		return nil
	}
	return cmd
}
