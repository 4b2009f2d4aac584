package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func faultCommand(std stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "fault FAULT… | --list | --drop ID",
		SuggestFor: []string{"faults", "inject", "break"},
		Short:      "let something go wrong between app, Inngest and mail server",
		Long: `fault injects faults into the wires of the stack that is up here: calls and their answers that get lost,
arrive late or twice, events that do not arrive, a mail server that refuses. FAULT is JSON, or a file that
holds it; "-" is standard input. A fault acts on the first exchange that it describes, or on so many
(times; -1: all). --list shows the faults of the stack, --drop takes one away.`,
		Example: `  harness fault '{"at": "rcpt", "do": "reply", "code": 451, "to": "kim@plant.test", "times": 2}'
  harness fault '{"at": "step", "do": "drop-answer", "step": "send-email"}'
  harness fault --drop 1`,
		Annotations: map[string]string{"Points and actions": faultRules()},
		Args:        between(0, anyNumber, "faults as JSON, or files that hold them"),
	}
	var drop []string
	list := cmd.Flags().Bool("list", false, "show the faults, and how often each has acted")
	cmd.Flags().StringArrayVar(&drop, "drop", nil, "disarm the fault with this `ID`, and close what it holds; may be repeated")
	asJSON := jsonFlag(cmd, "print the faults, with their ids in the API, as a JSON array")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if asked := min(len(args), 1) + min(len(drop), 1); asked > 1 || *list && asked > 0 || !*list && asked == 0 {
			return usagef("give faults to inject, or --list, or --drop and the id of one; see `harness fault --help`")
		}
		faults := make([]tap.Fault, len(args))
		for i, arg := range args {
			data, err := readJSON(cmd.Context(), std, arg)
			if err != nil {
				return err
			}
			if err = json.Unmarshal(data, &faults[i]); err == nil {
				err = faults[i].Validate()
			}
			if err != nil {
				return usagef("%s: %w", arg, err)
			}
		}
		c, err := std.connect(cmd.Context(), inngestOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		injected, err := c.InjectFaults(cmd.Context(), faults...)
		for i := 0; i < len(drop) && err == nil; i++ {
			var dropped stackapi.Fault
			dropped, err = c.DropFault(cmd.Context(), drop[i])
			injected = append(injected, dropped)
		}
		if *list && err == nil {
			injected, err = c.Faults(cmd.Context())
		}
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(std.out, injected)
		}
		for _, f := range injected {
			fmt.Fprintf(std.out, "fault %s: %s%s\n", f.ID, oneLine(f.Text), acted(f, *list || len(drop) > 0))
		}
		return nil
	}
	return cmd
}

// acted says how often a fault has acted, and whether it may again.
func acted(f stackapi.Fault, tell bool) string {
	state := "over"
	if f.Armed {
		state = "armed"
	}
	if !tell {
		return ""
	}
	return "  acted " + text.Count(f.Applied, "time", "times") + ", " + state
}

// faultRules lists what can be done where, and what can be matched there.
func faultRules() string {
	var b strings.Builder
	for _, r := range tap.Rules() {
		actions := make([]string, len(r.Actions))
		for i, a := range r.Actions {
			actions[i] = string(a)
		}
		fmt.Fprintf(&b, "%-10s %s", r.At, strings.Join(actions, " "))
		if len(r.Match) > 0 {
			fmt.Fprintf(&b, "; matches %s", strings.Join(r.Match, " "))
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}
