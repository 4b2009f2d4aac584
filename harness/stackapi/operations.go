package stackapi

import (
	"context"
	"net/http"
	"reflect"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
)

// Prefix is the path of the API on its server.
const Prefix = "/api/v1"

// An Operation is one request that the API answers.
type Operation struct {
	Method string
	// Path is below [Prefix]. Variables are in braces.
	Path string
	// ID names the operation, as in an OpenAPI document.
	ID      string
	Summary string
	// In is a struct: its fields with a tag path or query are parameters, its field Body is the JSON body. Out is the type
	// of the answer; nil is an answer of bytes, of this MediaType.
	In, Out   reflect.Type
	MediaType string
	// Public says that the request needs no token.
	Public bool

	serve func(*Server, http.ResponseWriter, *http.Request)
}

// The inputs of operations.
type (
	none     struct{}
	oneEvent struct {
		ID string `path:"id"`
	}
	eventQuery struct {
		// Limit is how many events to return. Zero: 20.
		Limit int `query:"limit"`
		// All includes events of the server, whose names begin with inngest/: those that start crons, invocations and
		// handlers of failures.
		All bool `query:"all"`
		// Steps adds their steps to the runs.
		Steps bool `query:"steps"`
	}
	traceQuery struct {
		ID string `path:"id"`
		// To are recipients of emails that may name no run.
		To []string `query:"to"`
	}
	mailQuery struct {
		To      string `query:"to"`
		From    string `query:"from"`
		Subject string `query:"subject"`
		Run     string `query:"run"`
		// Header is a name and a value, with a colon between them.
		Header []string `query:"header"`
		// Wait is how long to wait for the first such email.
		Wait jsontime.Duration `query:"wait"`
	}
	oneMail struct {
		ID string `path:"id"`
	}
	oneFault struct {
		ID string `path:"id"`
		// Wait is how long to wait until the fault acts.
		Wait jsontime.Duration `query:"wait"`
	}
	serviceAction struct {
		Service string `path:"service"`
		Action  string `path:"action"`
	}
	oneSchema struct {
		Name string `path:"name"`
	}
	body[T any] struct{ Body T }
)

// Operations returns all operations, as docs/api.md lists them.
func Operations() []Operation {
	return []Operation{
		op("GET", "/stack", "getStack", "where everything is, and what this stack can do", (*Server).getStack),
		op("GET", "/secrets", "getSecrets", "values that are to be masked where the app's output is shown", (*Server).getSecrets),
		op("POST", "/events", "send", "send an event, or a list of them", (*Server).send),
		op("GET", "/events", "getEvents", "the latest events, newest first, with their runs", (*Server).getEvents),
		op("GET", "/events/{id}", "getEvent", "one event, with its runs and their steps", (*Server).getEvent),
		op("GET", "/events/{id}/trace", "getTrace", "all that followed from an event so far", (*Server).getTrace),
		op("POST", "/invoke", "invoke", "start a function, whatever triggers it", (*Server).invoke),
		op("POST", "/judge", "judge", "judge what followed from an event", (*Server).judge),
		op("GET", "/mail", "getMail", "emails, the oldest first", (*Server).getMail),
		op("DELETE", "/mail", "clearMail", "remove emails", (*Server).clearMail),
		op("GET", "/mail/{id}", "getOneMail", "one email", (*Server).getOneMail),
		{
			Method: "GET", Path: "/mail/{id}/raw", ID: "getSource", Summary: "the source of an email", In: reflect.TypeFor[oneMail](),
			MediaType: "message/rfc822", serve: (*Server).serveSource,
		},
		op("POST", "/golden", "compare", "compare an email with a golden email, or write it", (*Server).compare),
		op("POST", "/skip", "skip", "put the clock of sim forward, for all or for one run", (*Server).skip),
		op("POST", "/replace", "replace", "replace results of steps, stub requests of steps, inject faults into the calls of sim", (*Server).replace),
		op("POST", "/faults", "injectFault", "inject a fault into a wire", (*Server).injectFault),
		op("GET", "/faults", "getFaults", "the faults that were injected", (*Server).getFaults),
		op("GET", "/faults/{id}", "getFault", "one fault", (*Server).getFault),
		op("POST", "/faults/{id}/release", "releaseFault", "disarm a fault, and let go on what it holds", (*Server).releaseFault),
		op("DELETE", "/faults/{id}", "dropFault", "disarm a fault, and close what it holds", (*Server).dropFault),
		op("POST", "/services/{service}/{action}", "control", "stop, start, restart, kill, pause or resume a service", (*Server).control),
		op("POST", "/tests", "endTest", "record how a test ended, and keep its evidence", (*Server).endTest),
		{
			Method: "GET", Path: "/openapi.json", ID: "getDocument", Summary: "this document", In: reflect.TypeFor[none](),
			MediaType: "application/json", Public: true, serve: (*Server).serveDocument,
		},
		{
			Method: "GET", Path: "/schemas/{name}", ID: "getSchema", Summary: "the JSON Schema of a file, such as expectation.json",
			In: reflect.TypeFor[oneSchema](), MediaType: "application/schema+json", Public: true, serve: (*Server).serveSchema,
		},
	}
}

// op returns an operation that a method of the server answers.
func op[In, Out any](method, path, id, summary string, answer func(*Server, context.Context, In) (Out, error)) Operation {
	return Operation{
		Method: method, Path: path, ID: id, Summary: summary, In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out](),
		serve: func(s *Server, w http.ResponseWriter, r *http.Request) {
			var in In
			err := bind(r, reflect.ValueOf(&in).Elem())
			var out Out
			if err == nil {
				out, err = answer(s, r.Context(), in)
			}
			if err != nil {
				s.fail(w, err)
				return
			}
			writeJSON(w, http.StatusOK, out)
		},
	}
}
