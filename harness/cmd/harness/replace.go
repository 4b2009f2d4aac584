package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func replaceCommand(std stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "replace FILE.json…",
		SuggestFor: []string{"stub", "mock", "intervene"},
		Short:      "give steps other results or errors than the app does",
		Long: `replace gives steps other results, or errors, in place of what the app's code does, and makes answers of
the app get lost, arrive late or twice. It needs a stack whose Inngest is sim. It concerns steps that come
up later. A file holds an object; "-" is standard input:

  {
    "replace": [
      {"function": "shop-ship", "step": "charge", "outcomes": [
        {"error": "the bank is closed", "retryAfter": "3d"}, {"value": {"receipt": 17}}
      ]},
      {"step": "a-month", "outcomes": [{"value": null}]}
    ],
    "faults": [{"function": "shop-ship", "step": "label", "lose": true}],
    "stubs": [{"url": "https://api.openai.com/*", "status": 429, "times": 1}, {"step": "rate", "body": {"eur": 1.08}}]
  }

An outcome stands for one attempt, the last one for all further ones: a value, or an error, with noRetry
if it is final. A sleep that is replaced takes no time; of a wait the value is the event, null is that none
comes. No outcomes ([]) leave the step as it was. A function is named by its id, with or without its app's id in
front; without one it is any. A step is named by its id in the code; the second use of an id is "id:1". A fault acts
on one answer or on so many (times; -1: all), and has one of lose, twice and late, a duration by sim's clock.
What is in "replace" can also be the whole file.
A stub answers the HTTP requests that steps let the server make (step.fetch, AI inference): those of a step, or
to a url, in which * stands for anything; all, or so many (times). It has a status (else 200), headers and a body,
a text or JSON; or an error. The first that fits answers, the latest file first. A stub with an id is taken away by
{"removeStubs": ["ID"]}.`,
		Example: `  harness up --inngest sim --replace declined.json -- npm start   # from the beginning
  harness replace declined.json
  echo '[{"step": "charge", "outcomes": []}]' | harness replace -`,
		Args: between(1, anyNumber, "a file with what to replace, or - for standard input"),
	}
	asJSON := jsonFlag(cmd, "print how many there are of each kind, and which steps no run has reached, as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		all, err := readInterventions(cmd.Context(), std, args)
		if err != nil {
			return err
		}
		c, err := std.connect(cmd.Context(), inngestOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		replaced, err := c.Replace(cmd.Context(), all)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(std.out, replaced)
		}
		fmt.Fprintln(std.out, described(all))
		if len(replaced.Unused) > 0 {
			fmt.Fprintln(std.out, "no run had reached, while they were replaced before: "+strings.Join(replaced.Unused, ", "))
		}
		return nil
	}
	cmd.ValidArgsFunction = completeFiles("json")
	return cmd
}

// readInterventions reads what is in files. Its errors are about the command line.
func readInterventions(ctx context.Context, std stdio, files []string) (all sim.Interventions, err error) {
	for _, file := range files {
		data, err := readFile(ctx, std, file)
		if err != nil {
			return all, exitError{exitUsage, err}
		}
		one, err := sim.ParseInterventions(data)
		if err != nil {
			return all, usagef("%s: %w; see `harness replace --help`", named(file), err)
		}
		all.Replace, all.Faults = append(all.Replace, one.Replace...), append(all.Faults, one.Faults...)
		all.Stubs, all.RemoveStubs = append(all.Stubs, one.Stubs...), append(all.RemoveStubs, one.RemoveStubs...)
	}
	return all, nil
}

// described says in one line what interventions do.
func described(i sim.Interventions) string {
	var line string
	for _, r := range i.Replace {
		step := r.Step
		if r.Function != "" {
			step += " of " + r.Function
		}
		if len(r.Outcomes) == 0 {
			line += fmt.Sprintf("step %s runs again; ", step)
		} else {
			line += fmt.Sprintf("step %s is replaced; ", step)
		}
	}
	if n := len(i.Faults); n > 0 {
		line += fmt.Sprintf("faults: %d more; ", n)
	}
	if n := len(i.Stubs); n > 0 {
		line += fmt.Sprintf("stubs: %d more; ", n)
	}
	if len(i.RemoveStubs) > 0 {
		line += fmt.Sprintf("stubs taken away: %s; ", strings.Join(i.RemoveStubs, ", "))
	}
	return strings.TrimSuffix(line, "; ")
}
