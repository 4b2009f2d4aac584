package api_test

import (
	"encoding/json"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

type schema = jsonschema.Schema

// names are the definitions of types whose Go names need their package.
var names = map[reflect.Type]string{
	reflect.TypeFor[golden.Replacement](): "GoldenReplacement",
	reflect.TypeFor[address]():            "Address",
	reflect.TypeFor[matchFields]():        "MatchFields",
	reflect.TypeFor[sim.Fault]():          "CallFault",
	reflect.TypeFor[sim.Outcome]():        "StepOutcome",
	reflect.TypeFor[sim.Replacement]():    "StepReplacement",
	reflect.TypeFor[stackapi.Event]():     "ReceivedEvent",
	reflect.TypeFor[stackapi.Fault]():     "InjectedFault",
}

func name(t reflect.Type) string {
	if n := names[t]; n != "" {
		return n
	}
	if path.Base(t.PkgPath()) == "statefile" && t.Name() != "State" {
		return "State" + t.Name()
	}
	return t.Name()
}

// commented are the packages of harness whose comments describe types.
var commented = []string{".", "golden", "internal/statefile", "sim/internal/engine", "stackapi", "tap"}

// A maker makes the schemas of Go types.
type maker struct {
	reflector jsonschema.Reflector
	// defs are the definitions that the schemas refer to.
	defs jsonschema.Definitions
}

func newMaker() (*maker, error) {
	m := &maker{defs: jsonschema.Definitions{}}
	m.reflector = jsonschema.Reflector{Anonymous: true, Namer: name, Mapper: m.special}
	for _, pkg := range commented {
		dir := path.Join("../../harness", pkg)
		if err := addComments(&m.reflector, dir); err != nil {
			return nil, err
		}
	}
	comments := m.reflector.CommentMap
	m.reflector.CommentMap = nil
	m.reflector.LookupComment = func(t reflect.Type, field string) string { return describe(comments, t, field) }
	return m, nil
}

// schema returns the schema of a type. Structs, and what has a JSON of its own, are definitions, to which it refers.
func (m *maker) schema(t reflect.Type) *schema {
	s := m.reflector.ReflectFromType(t)
	for n, d := range s.Definitions {
		m.define(n, d)
	}
	s.Definitions, s.Version = nil, ""
	return s
}

func (m *maker) define(name string, d *schema) *schema {
	if m.defs[name] == nil {
		m.defs[name] = d
		restrict(name, d)
	}
	return ref(name)
}

func ref(name string) *schema { return &schema{Ref: "#/$defs/" + name} }
func text() *schema           { return &schema{Type: "string"} }

func listOf(s *schema) *schema { return &schema{Type: "array", Items: s} }

// duration is what package jsontime reads.
func duration() *schema {
	return &schema{Type: "string", Pattern: `^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w))+)$`, Examples: []any{"1.5s", "90m", "3d"}}
}

// matchFields is a Match without its own JSON, address one of Addresses.
type (
	matchFields harness.Match
	address     struct {
		Name    string `json:"name,omitempty"`
		Address string `json:"address"`
	}
)

// special returns the schema of a type that has a JSON of its own, or a list of values; nil for others.
func (m *maker) special(t reflect.Type) *schema {
	define := func(s *schema) *schema {
		s.Description = m.reflector.LookupComment(t, "")
		return m.define(name(t), s)
	}
	switch t {
	case reflect.TypeFor[time.Duration]():
		return duration()
	case reflect.TypeFor[json.RawMessage]():
		return &schema{} // anything
	case reflect.TypeFor[regexp.Regexp]():
		return text()
	case reflect.TypeFor[harness.Texts]():
		return define(&schema{AnyOf: []*schema{text(), listOf(text())}})
	case reflect.TypeFor[harness.Match]():
		return define(&schema{AnyOf: []*schema{text(), listOf(text()), m.schema(reflect.TypeFor[matchFields]())}})
	case reflect.TypeFor[harness.Addresses]():
		return define(listOf(m.schema(reflect.TypeFor[address]())))
	}
	if path.Base(t.PkgPath()) == "jsontime" {
		return duration()
	}
	if values := values(t); values != nil {
		return define(&schema{Type: "string", Enum: values})
	}
	return nil
}

// values returns the values of a type that has a list of them; nil for others.
func values(t reflect.Type) (all []any) {
	switch t {
	case reflect.TypeFor[harness.Status]():
		return anys(harness.Statuses())
	case reflect.TypeFor[harness.Check]():
		for _, c := range harness.Checks() {
			all = append(all, c.Check)
		}
		return append(all, harness.CheckAll)
	case reflect.TypeFor[harness.Outcome]():
		return []any{harness.Holds, harness.Broken, harness.CannotBeJudged}
	case reflect.TypeFor[harness.HopState]():
		return []any{harness.HopOK, harness.HopBroken, harness.HopPending, harness.HopNotReached, harness.HopFailed}
	case reflect.TypeFor[harness.MailCatcher]():
		return anys(harness.MailCatchers())
	case reflect.TypeFor[tap.Point]():
		for _, r := range tap.Rules() {
			all = append(all, r.At)
		}
	case reflect.TypeFor[tap.Action]():
		for _, r := range tap.Rules() {
			for _, a := range r.Actions {
				if !slices.Contains(all, any(a)) {
					all = append(all, a)
				}
			}
		}
	}
	return all
}

func anys[T any](list []T) (all []any) {
	for _, v := range list {
		all = append(all, v)
	}
	return all
}

// addComments reads the comments of one package, without those below it.
func addComments(r *jsonschema.Reflector, dir string) error {
	return r.AddGoComments(module+"e2e/api", dir, jsonschema.WithFullComment())
}

const module = "github.com/odoo-maintenance/inngest-harness/"

// describe returns the description of a type, or of one of its fields, for readers of JSON.
func describe(comments map[string]string, t reflect.Type, field string) string {
	if t == reflect.TypeFor[matchFields]() {
		t = reflect.TypeFor[harness.Match]()
	}
	key := t.PkgPath() + "." + t.Name()
	if field == "" {
		return aboutJSON(comments[key], t)
	}
	said := comments[key+"."+field]
	if f, ok := t.FieldByName(field); ok && said == "" && len(f.Index) == 1 && f.Index[0] > 0 {
		// One comment may describe the fields below it, too.
		above := comments[key+"."+t.Field(f.Index[0]-1).Name]
		if word(field).MatchString(above) {
			said = above
		}
	}
	return aboutJSON(said, t)
}

var (
	link = regexp.MustCompile(`\[([\w.*]+)\]`)
	word = func(w string) *regexp.Regexp { return regexp.MustCompile(`\b` + w + `\b`) }
)

// aboutJSON returns a comment about Go as a text about JSON: fields have their JSON names, and links no brackets.
func aboutJSON(comment string, t reflect.Type) string {
	text := link.ReplaceAllString(strings.Join(strings.Fields(comment), " "), "$1")
	if t.Kind() != reflect.Struct {
		return text
	}
	for _, f := range reflect.VisibleFields(t) {
		if n, _, _ := strings.Cut(f.Tag.Get("json"), ","); n != "" && n != "-" {
			text = word(f.Name).ReplaceAllString(text, n)
		}
	}
	return text
}
