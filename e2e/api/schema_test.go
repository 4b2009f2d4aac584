package api_test

import (
	"cmp"
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
	"harness/internal/statefile.State.Schema":   "$schema is where the JSON Schema of the file is, which the stack's API serves.",
	"harness.MailCatcher":                       "A program that catches the emails of a stack. Its service is called mailhog, whichever it is.",
	"harness.Expectation.NoOtherMail":           "noOtherMail asserts that those runs sent no emails beside those in mail: one email for each entry, or the number in its copies.",
	"harness.MailExpectation.Copies":            "copies is the exact number of emails that match this entry and no other entry. Left out: at least one; with noOtherMail exactly one.",
	"harness.MailExpectation.Problems":          "problems is none, which asserts that nothing in the email is malformed, or left out.",
	"harness.MailExpectation.Checks":            "checks lists kinds of defects that the email must not have. all stands for all of them but external, which forbids what an email may load from the web on purpose.",
	"harness.Message.Subject":                   "subject and the addresses are those of the headers, decoded. A header that occurs more than once is one of the problems: subject is then the first, and the address lists have all addresses.",
	"harness.Message.Date":                      "date is that of the Date header; left out where there is none or it cannot be read.",
	"harness.Message.MessageID":                 "messageId is that of the Message-ID header, without its angle brackets.",
	"harness.Message.Attachments":               "attachments are all parts but the bodies and the inlines, in the order of the message.",
	"harness.Message.Inlines":                   "inlines are the parts that a body refers to or shows, in the order of the message.",
	"harness.Trace.Event":                       "event is the event as the server received it; left out where the server does not know the id.",
	"harness.TraceStep.Input":                   "input is what the code handed to the step, where its SDK tells: in JavaScript the arguments after the function of step.run, as an array. The Go SDK does not tell.",
	"harness/sim/internal/engine.Outcome.Value": "value is the result. For a wait it is the event, or the data of the signal, that comes; null is that none comes in time. For a fetch it has the fields url, headers, body (a text) and status_code.",
	"harness/sim/internal/engine.Stub.Status":   "status is that of the answer. Left out: 200.",
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

// inJSON are the texts that constants are in JSON, by their names in links.
var inJSON = map[string]string{
	"[AtStep]": string(tap.AtStep), "[AtDATA]": string(tap.AtDATA), "[AtBody]": string(tap.AtBody),
	"[Delay]": string(tap.Delay), "[DelayAnswer]": string(tap.DelayAnswer), "[Reply]": string(tap.Reply),
	"[Throttle]": string(tap.Throttle), "[Twice]": string(tap.Twice),
}

// aboutJSON returns a comment about Go as a text about JSON: fields have their JSON names, and links no brackets.
func aboutJSON(comment string, t reflect.Type) string {
	text := link.ReplaceAllStringFunc(strings.Join(strings.Fields(comment), " "), func(l string) string {
		return cmp.Or(inJSON[l], strings.Trim(l, "[]"))
	})
	if t.Kind() != reflect.Struct {
		return text
	}
	for _, f := range reflect.VisibleFields(t) {
		if n, _, _ := strings.Cut(f.Tag.Get("json"), ","); n != "" && n != "-" {
			text = word(f.Name).ReplaceAllLiteralString(text, n)
		}
	}
	return text
}
