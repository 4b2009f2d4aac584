package api_test

import (
	"fmt"
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

// failures are the answers that are errors, as docs/api.md lists them.
var failures = []struct {
	status     int
	code, when string
}{
	{400, "invalid", "The request is wrong. The sentence says where."},
	{401, "unauthorized", "The request has no token, or another one."},
	{403, "refused", "The request comes from another machine, or from a page of another site."},
	{404, "not-found", "There is no such event, email, service or fault."},
	{405, "not-allowed", "The path has other methods: see the header Allow."},
	{409, "unsupported", "This stack cannot do it."},
	{413, "too-large", "The request is larger than the API takes."},
	{502, "failed", "A server of the stack did not do it, or the stack is being stopped."},
}

// openAPI returns the OpenAPI document of all operations, without its schemas, which become definitions of the maker.
func openAPI(m *maker) object {
	paths, responses := object{}, object{}
	for _, op := range stackapi.Operations() {
		at, _ := paths[op.Path].(object)
		if at == nil {
			at = object{}
			paths[op.Path] = at
		}
		at[strings.ToLower(op.Method)] = m.operation(op)
	}
	failure := m.schema(typeOf[stackapi.Failure]())
	for _, f := range failures {
		responses[f.code] = object{"description": f.when, "content": content("application/json", failure)}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "The API of a stack", "version": "1",
			"description": "Sends events to the app on a stack that `harness up` keeps up, and judges what follows.",
		},
		"servers":  []any{object{"url": stackapi.Prefix}},
		"security": []any{object{"token": []string{}}},
		"paths":    paths,
		"components": object{
			"responses":       responses,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "The token in .harness/stack.json."}},
		},
	}
}

func (m *maker) operation(op stackapi.Operation) object {
	o := object{"operationId": op.ID, "summary": op.Summary}
	var parameters []any
	for _, f := range reflect.VisibleFields(op.In) {
		for _, in := range []string{"path", "query"} {
			n, ok := f.Tag.Lookup(in)
			if !ok {
				continue
			}
			owner := op.In
			if len(f.Index) > 1 {
				owner = op.In.Field(f.Index[0]).Type
			}
			p := object{"name": n, "in": in, "schema": m.parameter(op.In, f)}
			if in == "path" {
				p["required"] = true
			}
			if said := m.comment(owner, f.Name); said != "" {
				p["description"] = said
			}
			parameters = append(parameters, p)
		}
		if f.Name == "Body" {
			o["requestBody"] = object{"required": true, "content": content("application/json", m.body(op.ID, f.Type))}
		}
	}
	if parameters != nil {
		o["parameters"] = parameters
	}
	ok := object{"description": "OK"}
	if op.Out == nil {
		ok["content"] = content(op.MediaType, nil)
	} else {
		ok["content"] = content("application/json", m.schema(op.Out))
	}
	answers := object{"200": ok}
	for _, f := range failures {
		answers[fmt.Sprint(f.status)] = object{"$ref": "#/components/responses/" + f.code}
	}
	o["responses"] = answers
	if op.Public {
		o["security"] = []any{}
	}
	return o
}

func content(mediaType string, s *schema) object {
	if s == nil {
		return object{mediaType: object{}}
	}
	return object{mediaType: object{"schema": s}}
}

// body returns the schema of a request, also of one that is not decoded as its type.
func (m *maker) body(operation string, t reflect.Type) *schema {
	switch operation {
	case "send":
		event := m.schema(typeOf[harness.Event]())
		return &schema{OneOf: []*schema{event, atLeastOne(listOf(event))}}
	case "replace":
		return m.interventions()
	}
	return m.schema(t)
}

// interventions returns the schema of interventions, of which replacements may be the whole.
func (m *maker) interventions() *schema {
	return &schema{AnyOf: []*schema{m.schema(typeOf[sim.Interventions]()), atLeastOne(listOf(m.schema(typeOf[sim.Replacement]())))}}
}

// parameter returns the schema of a parameter.
func (m *maker) parameter(in reflect.Type, f reflect.StructField) *schema {
	s := m.schema(f.Type)
	switch {
	case f.Tag.Get("path") == "id" && (in.Name() == "oneEvent" || in.Name() == "traceQuery"):
		s.Pattern = eventIDForm
	case f.Tag.Get("path") == "action":
		s.Enum = []any{"stop", "start", "restart", "kill", "pause", "resume"}
	case f.Tag.Get("query") == "limit":
		s.Minimum = "0"
	case f.Tag.Get("query") == "header":
		s.Items.Pattern = `^[^:]+:`
	}
	return s
}

func TestOpenAPI_IsValid(t *testing.T) {
	t.Parallel()
	require.NoError(t, load(t).Validate(t.Context(), openapi3.IsOpenAPI31OrLater(), openapi3.EnableSchemaPatternValidation()))
}

// load reads the document.
func load(t *testing.T) *openapi3.T {
	document, err := openapi3.NewLoader().LoadFromData(stackapi.OpenAPI())
	require.NoError(t, err)
	return document
}
