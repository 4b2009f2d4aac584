package api_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

// object is one of the OpenAPI document.
type object = map[string]any

// openAPI returns the OpenAPI document of all operations. Its schemas refer to definitions of the maker.
func openAPI(m *maker) object {
	paths := object{}
	for _, op := range stackapi.Operations() {
		at, _ := paths[op.Path].(object)
		if at == nil {
			at = object{}
			paths[op.Path] = at
		}
		at[strings.ToLower(op.Method)] = operation(m, op)
	}
	m.schema(reflect.TypeFor[stackapi.Failure]())
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "The API of a stack", "version": "1",
			"description": "Sends events to an app on a stack that `harness up` keeps up, and judges what follows.",
		},
		"servers":    []any{object{"url": stackapi.Prefix}},
		"security":   []any{object{"token": []string{}}},
		"paths":      paths,
		"components": object{"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "The token in .harness/stack.json."}}},
	}
}

func operation(m *maker, op stackapi.Operation) object {
	o := object{"operationId": op.ID, "summary": op.Summary}
	var parameters []any
	for _, f := range reflect.VisibleFields(op.In) {
		for _, in := range []string{"path", "query"} {
			if n := f.Tag.Get(in); n != "" {
				p := object{"name": n, "in": in, "schema": m.schema(f.Type)}
				if in == "path" {
					p["required"] = true
				}
				if said := m.reflector.LookupComment(op.In, f.Name); said != "" {
					p["description"] = said
				}
				parameters = append(parameters, p)
			}
		}
		if f.Name == "Body" {
			o["requestBody"] = object{"required": true, "content": asJSON(m.body(op.ID, f.Type))}
		}
	}
	if parameters != nil {
		o["parameters"] = parameters
	}
	ok := object{"description": "OK"}
	if op.Out != nil {
		ok["content"] = asJSON(m.schema(op.Out))
	} else {
		ok["content"] = object{"message/rfc822": object{}}
	}
	o["responses"] = object{"200": ok, "default": object{"description": "An error.", "content": asJSON(ref("Failure"))}}
	return o
}

func asJSON(s *schema) object { return object{"application/json": object{"schema": s}} }

// body returns the schema of a request, also of one that is parsed later than bind.
func (m *maker) body(operation string, t reflect.Type) *schema {
	switch operation {
	case "send":
		event := m.schema(reflect.TypeFor[harness.Event]())
		return &schema{OneOf: []*schema{event, listOf(event)}}
	case "replace":
		return m.schema(reflect.TypeFor[sim.Interventions]())
	}
	return m.schema(t)
}

func TestOpenAPI_IsValid(t *testing.T) {
	t.Parallel()
	document := load(t)
	require.NoError(t, document.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()))
}

// load reads the committed document.
func load(t *testing.T) *openapi3.T {
	data, err := os.ReadFile(filepath.Join(dir, "openapi.json"))
	require.NoError(t, err)
	document, err := openapi3.NewLoader().LoadFromData(data)
	require.NoError(t, err)
	return document
}
