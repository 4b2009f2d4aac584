package api_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/invopop/jsonschema"
)

// The parts of which schemas are made.

type schema = jsonschema.Schema

func ref(name string) *schema      { return &schema{Ref: "#/$defs/" + name} }
func text() *schema                { return &schema{Type: "string"} }
func null() *schema                { return &schema{Type: "null"} }
func never() *schema               { return jsonschema.FalseSchema }
func off() *schema                 { return &schema{Enum: []any{false}} }
func listOf(s *schema) *schema     { return &schema{Type: "array", Items: s} }
func atLeastOneLetter() *schema    { return &schema{Type: "string", MinLength: number(1)} }
func required(name string) *schema { return &schema{Required: []string{name}} }
func number(n uint64) *uint64      { return &n }
func typeOf[T any]() reflect.Type  { return reflect.TypeFor[T]() }

// is demands the value of a property.
func is(name string, v any) *schema { return must(having(name, &schema{Const: v}), name) }

func must(s *schema, names ...string) *schema {
	s.Required = names
	return s
}

// on demands that a switch is true.
func on(name string) *schema { return is(name, true) }

func atLeastOne(list *schema) *schema {
	list.MinItems = number(1)
	return list
}

// having demands something of properties, which are given as names and schemas in turn.
func having(pairs ...any) *schema {
	s := &schema{Properties: jsonschema.NewProperties()}
	for i := 0; i < len(pairs); i += 2 {
		s.Properties.Set(pairs[i].(string), pairs[i+1].(*schema))
	}
	return s
}

// with replaces the schema of a property, but for its description.
func with(d *schema, name string, s schema) {
	p := property(d, name)
	s.Description = p.Description
	*p = s
}

func notEmpty(d *schema, name string) { property(d, name).MinLength = number(1) }

// notZero demands a duration other than none.
func notZero(d *schema, name string) { property(d, name).AllOf = []*schema{{Pattern: "[1-9]"}} }

func atLeast(d *schema, name string, least int) {
	property(d, name).Minimum = json.Number(strconv.Itoa(least))
}

func within(d *schema, name string, least, most int) {
	atLeast(d, name, least)
	property(d, name).Maximum = json.Number(strconv.Itoa(most))
}

func property(d *schema, name string) *schema {
	p, ok := d.Properties.Get(name)
	if !ok {
		panic("there is no property " + name)
	}
	return p
}

// topOfFile allows the key that editors read.
func topOfFile(d *schema) {
	d.Properties.Set("$schema", &schema{Type: "string", Description: "The JSON Schema of this file, for editors. It is ignored."})
}

// asserting demands of every field that it asserts something.
func asserting(d *schema) {
	for pair := d.Properties.Oldest(); pair != nil; pair = pair.Next() {
		switch p := pair.Value; p.Type {
		case "string":
			if pair.Key != "$schema" {
				p.MinLength = number(1)
			}
		case "integer":
			p.Minimum = "1"
		case "array":
			atLeastOne(p)
		case "object":
			p.MinProperties = number(1)
		}
	}
}

// only allows no properties of d but these; switches may be off.
func only(d *schema, names ...string) *schema {
	s := having()
	for pair := d.Properties.Oldest(); pair != nil; pair = pair.Next() {
		switch {
		case slices.Contains(names, pair.Key):
		case pair.Value.Type == "boolean":
			s.Properties.Set(pair.Key, off())
		default:
			s.Properties.Set(pair.Key, never())
		}
	}
	return s
}

func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func anys[T any](list []T) (all []any) {
	for _, v := range list {
		all = append(all, v)
	}
	return all
}
