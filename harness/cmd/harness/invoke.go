package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

func invokeCommand(std stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "invoke FUNCTION [DATA]",
		SuggestFor: []string{"trigger", "call"},
		Short:      "start a function, whatever triggers it",
		Long: `invoke starts a function as Inngest's page does, also one that a cron triggers, and prints the ULID of the
event that the server makes for it, by which 'harness runs' and 'harness expect' know it. FUNCTION is its
id, with or without the app's id and a dash before it. DATA is the event's data: a JSON object, or a file
that holds one; "-" is standard input.`,
		Example: `  harness invoke daily-report
  harness invoke shop-reindex '{"product": 17}'
  harness invoke daily-report --json | jq -r .eventId`,
		Args: between(1, 2, "a function's id, and at most one object of data"),
	}
	asJSON := jsonFlag(cmd, "print the event's id as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		invocation := stackapi.Invocation{Function: args[0]}
		if len(args) == 2 {
			data, err := readJSON(cmd.Context(), std, args[1])
			if err != nil {
				return err
			}
			var object map[string]any
			if err := json.Unmarshal(data, &object); errors.As(err, new(*json.UnmarshalTypeError)) {
				return usagef("the data is no JSON object")
			} else if err != nil {
				return usagef("the data is no JSON object: %w", err)
			}
			invocation.Data = data
		}
		c, err := std.connect(cmd.Context(), inngestOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		event, err := c.Invoke(cmd.Context(), invocation)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(std.out, event)
		}
		_, err = fmt.Fprintf(std.out, "%s  %s\n", event.EventID, args[0])
		return err
	}
	return cmd
}
