package main

import (
	"context"
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
		inject, asked := len(args) > 0, 0
		for _, given := range []bool{inject, *list, len(drop) > 0} {
			if given {
				asked++
			}
		}
		if asked != 1 {
			return usagef("give faults to inject, or --list, or --drop and the id of one; see `harness fault --help`")
		}
		faults, err := readFaults(cmd.Context(), std, args)
		if err != nil {
			return err
		}
		c, err := std.connect(cmd.Context(), inngestOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		var shown []stackapi.Fault
		switch {
		case inject:
			shown, err = c.InjectFaults(cmd.Context(), faults...)
		case *list:
			shown, err = c.Faults(cmd.Context())
		default:
			shown, err = c.DropFaults(cmd.Context(), drop...)
		}
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(std.out, shown)
		}
		for _, f := range shown {
			line := fmt.Sprintf("fault %s: %s", f.ID, oneLine(f.Text))
			if !inject {
				line += "  acted " + text.Count(f.Applied, "time", "times") + ", " + state(f)
			}
			fmt.Fprintln(std.out, line)
		}
		return nil
	}
	return cmd
}

// readFaults reads faults that are given as JSON, or as files.
func readFaults(ctx context.Context, std stdio, args []string) ([]tap.Fault, error) {
	faults := make([]tap.Fault, len(args))
	for i, arg := range args {
		data, err := readJSON(ctx, std, arg)
		if err != nil {
			return nil, err
		}
		if err = json.Unmarshal(data, &faults[i]); err == nil {
			err = faults[i].Validate()
		}
		if err != nil {
			return nil, usagef("%s: %w", arg, err)
		}
	}
	return faults, nil
}

// state says whether a fault may act again.
func state(f stackapi.Fault) string {
	if f.Armed {
		return "armed"
	}
	return "over"
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
