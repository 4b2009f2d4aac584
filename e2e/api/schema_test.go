package api_test

import (
	"encoding/json"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// names are the definitions of types whose Go names need their package.
var names = map[reflect.Type]string{
	typeOf[golden.Replacement](): "GoldenReplacement",
	typeOf[address]():            "Address",
	typeOf[matchFields]():        "MatchFields",
	typeOf[sim.Fault]():          "CallFault",
	typeOf[sim.Outcome]():        "StepOutcome",
	typeOf[sim.Replacement]():    "StepReplacement",
	typeOf[stackapi.Event]():     "ReceivedEvent",
	typeOf[stackapi.Fault]():     "InjectedFault",
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
	comments  map[string]string
	// defs are the definitions that the schemas refer to.
	defs jsonschema.Definitions
}

func newMaker(t *testing.T) *maker {
	var source jsonschema.Reflector
	for _, pkg := range commented {
		require.NoError(t, source.AddGoComments(module+"e2e/api", path.Join("../../harness", pkg), jsonschema.WithFullComment()))
	}
	m := &maker{comments: source.CommentMap, defs: jsonschema.Definitions{}}
	m.reflector = jsonschema.Reflector{Anonymous: true, Namer: name, Mapper: m.special, LookupComment: m.comment}
	return m
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

// duration is what package jsontime reads.
func duration() *schema {
	return &schema{Type: "string", Pattern: `^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w))+)$`, Examples: []any{"1.5s", "90m", "3d"}}
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
		s.Description = m.comment(t, "")
		return m.define(name(t), s)
	}
	switch t {
	case typeOf[time.Duration]():
		return duration()
	case typeOf[json.RawMessage]():
		return &schema{} // anything
	case typeOf[regexp.Regexp]():
		return text()
	case typeOf[harness.Texts]():
		return define(&schema{AnyOf: []*schema{text(), listOf(text())}})
	case typeOf[harness.Match]():
		return define(&schema{AnyOf: []*schema{text(), listOf(text()), m.schema(typeOf[matchFields]())}})
	case typeOf[harness.Addresses]():
		return define(listOf(m.schema(typeOf[address]())))
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
	case typeOf[harness.Status]():
		return anys(harness.Statuses())
	case typeOf[harness.Check]():
		for _, c := range harness.Checks() {
			all = append(all, c.Check)
		}
		return append(all, harness.CheckAll)
	case typeOf[harness.Outcome]():
		return []any{harness.Holds, harness.Broken, harness.CannotBeJudged}
	case typeOf[harness.HopState]():
		return []any{harness.HopOK, harness.HopBroken, harness.HopPending, harness.HopNotReached, harness.HopFailed}
	case typeOf[harness.MailCatcher]():
		return anys(harness.MailCatchers())
	case typeOf[tap.Point]():
		for _, r := range tap.Rules() {
			all = append(all, r.At)
		}
	case typeOf[tap.Action]():
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

const module = "github.com/odoo-maintenance/inngest-harness/"

// toldOtherwise are descriptions of what differs in Go, by type and field.
var toldOtherwise = map[string]string{
	"harness.Event":                             "An event to send.",
	"harness.Event.Data":                        "data is an object. Left out: an empty one.",
	"harness.Event.User":                        "user is an object. Left out: none.",
	"harness.Event.TS":                          "ts is when it happened, in milliseconds since 1970. Left out: when the server receives it. A time in the future delays the runs until then.",
	"harness.Expectation":                       "What should have happened after one event. A field that is left out asserts nothing; an expectation that asserts nothing at all is an error.",
	"harness.Match":                             "What a text must be: all that the fields say. A text in place of the object stands for equals, a list of texts for contains.",
	"harness.Match.Matches":                     "matches is a regular expression, in Go's syntax (RE2). It may match any part of the text: ^ and $ stand for the ends of the whole.",
	"harness.Message":                           "One decoded email.",
	"harness.Part":                              "An attachment or an inline part of an email.",
	"harness.Texts":                             "A list of texts. A single text stands for a list of one.",
	"harness.Addresses":                         "The addresses of a header.",
	"harness.Verdict":                           "The result of comparing an expectation with a trace.",
	"harness.Trace":                             "What happened after one event. Times of the event, of runs and of steps are of the Inngest server's clock; those of deliveries are of the harness's clock, those of emails of the mail catcher's.",
	"harness/tap.Fault":                         "One thing that goes wrong on a wire: where, for which exchanges, how often, and what. A field that selects exchanges matches all of them where it is left out.",
	"harness/sim/internal/engine.Interventions": "What stands in the way of an app on sim: steps whose outcomes are replaced, faults of calls, and stubs of what steps let the server request.",
	"harness/internal/statefile.State":          "Where a stack that `harness up` keeps up is: the file .harness/stack.json.",
}

// comment returns the description of a type, or of one of its fields, for readers of JSON.
func (m *maker) comment(t reflect.Type, field string) string {
	if t == typeOf[matchFields]() {
		t = typeOf[harness.Match]()
	}
	key := t.PkgPath() + "." + t.Name()
	if text := toldOtherwise[strings.Trim(strings.TrimPrefix(key, module)+"."+field, ".")]; text != "" {
		return text
	}
	if field == "" {
		return aboutJSON(m.comments[key], t)
	}
	said := m.comments[key+"."+field]
	if f, ok := t.FieldByName(field); ok && said == "" && len(f.Index) == 1 && f.Index[0] > 0 {
		// One comment may describe the fields below it, too.
		above := m.comments[key+"."+t.Field(f.Index[0]-1).Name]
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
