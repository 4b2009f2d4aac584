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
	mailFilter struct {
		To      string `query:"to"`
		From    string `query:"from"`
		Subject string `query:"subject"`
		Run     string `query:"run"`
		// Header is a name and a value, with a colon between them.
		Header []string `query:"header"`
	}
	mailQuery struct {
		mailFilter
		// Wait is how long to wait for the first such email.
		Wait jsontime.Duration `query:"wait"`
	}
	oneMail struct {
		ID string `path:"id"`
	}
	oneFault struct {
		ID string `path:"id"`
	}
	faultQuery struct {
		oneFault
		// Wait is how long to wait until the fault acts.
		Wait jsontime.Duration `query:"wait"`
	}
	stackQuery struct {
		// Wait is how long to wait until the app is up with what has changed in its sources.
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
		raw("/mail/{id}/raw", "getSource", "the source of an email", "message/rfc822", (*Server).getSource),
		op("POST", "/golden", "compare", "compare an email with a golden email, or write it", (*Server).compare),
		op("POST", "/skip", "skip", "put the clock of sim forward, for all or for what one run or one event leads to", (*Server).skip),
		op("POST", "/replace", "replace", "replace results of steps, stub requests of steps, inject faults into the calls of sim", (*Server).replace),
		op("POST", "/faults", "injectFault", "inject a fault into a wire", (*Server).injectFault),
		op("GET", "/faults", "getFaults", "the faults that were injected", (*Server).getFaults),
		op("GET", "/faults/{id}", "getFault", "one fault", (*Server).getFault),
		op("POST", "/faults/{id}/release", "releaseFault", "disarm a fault, and let go on what it holds", (*Server).releaseFault),
		op("DELETE", "/faults/{id}", "dropFault", "disarm a fault, and close what it holds", (*Server).dropFault),
		op("POST", "/services/{service}/{action}", "control", "stop, start, restart, kill, pause or resume a service", (*Server).control),
		op("POST", "/tests", "endTest", "record how a test ended, and keep its evidence", (*Server).endTest),
		public(raw("/openapi.json", "getDocument", "this document", "application/json", (*Server).getDocument)),
		public(raw("/schemas/{name}", "getSchema", "the JSON Schema of a file, such as expectation.json", "application/schema+json", (*Server).getSchema)),
	}
}

// op returns an operation that a method of the server answers.
func op[In, Out any](method, path, id, summary string, answer func(*Server, context.Context, In) (Out, error)) Operation {
	return Operation{
		Method: method, Path: path, ID: id, Summary: summary, In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out](),
		serve: func(s *Server, w http.ResponseWriter, r *http.Request) {
			if out, ok := answered(s, w, r, answer); ok {
				writeJSON(w, http.StatusOK, out)
			}
		},
	}
}

// raw returns an operation that a method of the server answers with bytes.
func raw[In any](path, id, summary, mediaType string, answer func(*Server, context.Context, In) ([]byte, error)) Operation {
	return Operation{
		Method: http.MethodGet, Path: path, ID: id, Summary: summary, In: reflect.TypeFor[In](), MediaType: mediaType,
		serve: func(s *Server, w http.ResponseWriter, r *http.Request) {
			if data, ok := answered(s, w, r, answer); ok {
				w.Header().Set("Content-Type", mediaType)
				_, _ = w.Write(data) // fails only if the client has gone
			}
		},
	}
}

// public returns an operation that needs no token.
func public(op Operation) Operation {
	op.Public = true
	return op
}

// answered returns the answer to a request. If there is an error instead, it has answered with that. A request that is in progress when
// the stack ends is told so.
func answered[In, Out any](s *Server, w http.ResponseWriter, r *http.Request, answer func(*Server, context.Context, In) (Out, error)) (out Out, ok bool) {
	var in In
	err := bind(r, reflect.ValueOf(&in).Elem())
	if err == nil {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.ending, cancel)()
		if out, err = answer(s, ctx, in); err != nil && s.ending.Err() != nil {
			err = errorf("failed", "the stack is being stopped")
		}
	}
	if err != nil {
		s.fail(w, err)
	}
	return out, err == nil
}
