package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/input"
)

func sendCommand(std stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "send EVENT.json…",
		Short: "send events to the Inngest server",
		Long: `send sends the events in the files, in order, all of them in one request, and prints for each the ULID
by which 'harness runs' and 'harness expect' know it. A file holds one event, several one after another,
or an array of them; "-" is standard input, and JSON text stands for itself.
An event is an object with the fields ` + strings.Join(jsonFields(harness.Event{}), ", ") + `; name is required, data and user are objects.

The server starts nothing for an event whose id it has seen in the last 24 hours.`,
		Example: `  harness send event.json
  harness send '{"name":"shop/order.paid","data":{"order":17}}'
  harness runs "$(harness send event.json --json | jq -r .[0].eventId)"`,
		Args: between(1, anyNumber, "a file with an event, or - for standard input"),
	}
	asJSON := jsonFlag(cmd, "print the events' ids as a JSON array")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var events []harness.Event
		for _, file := range args {
			more, err := readEvents(cmd.Context(), std, file)
			if err != nil {
				return exitError{exitUsage, err}
			}
			events = append(events, more...)
		}
		c, err := std.connect(cmd.Context(), inngestOnly, "")
		if err != nil {
			return err
		}
		defer c.close()
		sent, err := c.Send(cmd.Context(), events...)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(std.out, sent)
		}
		for _, e := range sent {
			fmt.Fprintf(std.out, "%s  %s\n", e.EventID, oneLine(e.Name))
		}
		return nil
	}
	cmd.ValidArgsFunction = completeFiles("json")
	return cmd
}

// readEvents reads the events in a file. A file without any is an error.
func readEvents(ctx context.Context, std stdio, file string) ([]harness.Event, error) {
	data, err := readFile(ctx, std, file)
	if err != nil {
		return nil, err
	}
	var events []harness.Event
	values := json.NewDecoder(bytes.NewReader(data))
	for {
		var value json.RawMessage
		switch err := values.Decode(&value); {
		case errors.Is(err, io.EOF):
			if len(events) == 0 {
				return nil, fmt.Errorf("%s holds no event", named(file))
			}
			return events, nil
		case err != nil:
			return nil, fmt.Errorf("%s is not JSON: %w", named(file), err)
		}
		list := []json.RawMessage{value}
		if value[0] == '[' {
			if err := json.Unmarshal(value, &list); err != nil {
				return nil, fmt.Errorf("%s: %w", named(file), err)
			}
		}
		for _, one := range list {
			e, err := harness.ParseEvent(one)
			if err != nil {
				return nil, fmt.Errorf("%s, event %d: %w", named(file), len(events)+1, err)
			}
			events = append(events, e)
		}
	}
}

// stdinName is the argument that stands for standard input.
const stdinName = "-"

// isText reports whether an argument is JSON, in the place of a file that holds some.
func isText(arg string) bool { return strings.HasPrefix(arg, "{") || strings.HasPrefix(arg, "[") }

func named(file string) string {
	switch {
	case file == stdinName:
		return "standard input"
	case isText(file):
		return "the JSON text"
	default:
		return file
	}
}

// readJSON returns an argument that is JSON, or reads the file that it names. Its errors are about the command line.
func readJSON(ctx context.Context, std stdio, arg string) ([]byte, error) {
	if json.Valid([]byte(arg)) {
		return []byte(arg), nil
	}
	data, err := readFile(ctx, std, arg)
	if err != nil {
		return nil, usagef("%q is neither JSON nor a file: %w", arg, err)
	}
	return data, nil
}

// readFile reads a file, or standard input, until ctx ends: a pipe may be silent for ever. It returns JSON text as it is.
func readFile(ctx context.Context, std stdio, file string) (data []byte, err error) {
	if isText(file) {
		return []byte(file), nil
	}
	if file == stdinName {
		data, err = input.Stream(ctx, std.in)
	} else {
		data, err = input.Any(ctx, file)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", cmp.Or(named(file), `""`), err)
	}
	return data, nil
}
