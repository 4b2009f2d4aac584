package main

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

// openAPIDocument is the name of the document that describes the API of a stack.
const openAPIDocument = "openapi"

func schemaCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:        "schema [NAME]",
		SuggestFor: []string{"schemas", "openapi", "types"},
		Short:      "print the JSON Schema of a file or an answer",
		Long: `schema prints the JSON Schema (2020-12) of what the harness reads from files or prints as JSON, or without a name lists
them. "openapi" is the OpenAPI document of the API that a stack serves. With a key "$schema", an editor completes and
checks a file while it is written; the harness ignores the key.`,
		Example: `  harness schema
  harness schema expectation > expectation.schema.json   # then {"$schema": "./expectation.schema.json", "mail": …}
  harness schema openapi > openapi.json`,
		Args:      between(0, 1, "the name of a schema"),
		ValidArgs: append(stackapi.Schemas(), openAPIDocument),
	}
	asJSON := jsonFlag(cmd, "print the list of names as JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 && *asJSON:
			return writeJSON(io.out, append(stackapi.Schemas(), openAPIDocument))
		case len(args) == 0:
			return listSchemas(io)
		case args[0] == openAPIDocument:
			_, err := io.out.Write(stackapi.OpenAPI())
			return err
		}
		data, err := stackapi.Schema(args[0])
		if err != nil {
			return usagef("%w; and %s", err, openAPIDocument)
		}
		_, err = io.out.Write(data)
		return err
	}
	return cmd
}

// listSchemas prints the names of all schemas, each with what it describes.
func listSchemas(io stdio) error {
	var rows [][]string
	for _, name := range stackapi.Schemas() {
		data, err := stackapi.Schema(name)
		if err != nil {
			return err
		}
		var schema struct {
			Description string `json:"description"`
		}
		if err := json.Unmarshal(data, &schema); err != nil {
			return err
		}
		first, _, _ := strings.Cut(schema.Description, ". ")
		rows = append(rows, []string{name, strings.TrimSuffix(first, ".") + "."})
	}
	return writeTable(io.out, append(rows, []string{openAPIDocument, "The API of a stack, as an OpenAPI document."}))
}
