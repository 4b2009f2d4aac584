package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

const token = "a-token-of-a-test"

// env is the API of a stack, and its document.
type env struct {
	*testing.T
	stack  *stack.Stack
	url    string
	router routers.Router
	// compiler has the document, schemas what it has compiled, by JSON pointer.
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
	// asked are the operations that were answered with 200, answered the statuses of all answers.
	asked    map[string]bool
	answered map[int]bool
	api      *stackapi.Server
	waiting  *atomic.Int32 // how many requests that wait for something are in progress
}

func newEnv(t *testing.T, backend harness.Backend, o stack.Options) *env {
	st, err := testenv.Start(t.Context(), backend, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(t.Context()))) })
	api := stackapi.New(st, stackapi.Options{Token: token, Sim: backend.Name() == "sim", Watched: true})
	waiting := &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/judge") || r.URL.Query().Has("wait") {
			waiting.Add(1)
			defer waiting.Add(-1)
		}
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	router, err := gorillamux.NewRouter(load(t))
	require.NoError(t, err)
	compiler := compilerOf(t, "openapi.json", stackapi.OpenAPI())
	return &env{
		t, st, server.URL + stackapi.Prefix, router, compiler, map[string]*jsonschema.Schema{}, map[string]bool{}, map[int]bool{}, api, waiting,
	}
}

// A question is a request with what is expected of it.
type question struct {
	method, path string
	body         any
	header       map[string]string
	// invalid says that the request does not conform to the document.
	invalid bool
	status  int
}

func (e *env) request(q question, body []byte) *http.Request {
	r, err := http.NewRequestWithContext(e.Context(), q.method, e.url+q.path, bytes.NewReader(body))
	require.NoError(e, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	return r
}

// described returns what the document says about a request; nil if it does not know it.
func (e *env) described(r *http.Request) *openapi3filter.RequestValidationInput {
	route, params, err := e.router.FindRoute(r)
	if err != nil {
		return nil
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, ExcludeRequestBody: true, ExcludeResponseBody: true,
	}
	return &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
}

// validate returns what the document finds wrong with a request that it knows, and with its body.
func (e *env) validate(r *openapi3filter.RequestValidationInput, body []byte) error {
	err := openapi3filter.ValidateRequest(e.Context(), r)
	if err != nil || r.Route.Operation.RequestBody == nil {
		return err
	}
	if of := r.Request.Header.Get("Content-Type"); of != "application/json" {
		return fmt.Errorf("a body of type %q", of)
	}
	return e.validateBody(pointer("paths", r.Route.Path, strings.ToLower(r.Route.Method), "requestBody"), body)
}

// validateAnswer returns what the document finds wrong with an answer to a request.
func (e *env) validateAnswer(r *openapi3filter.RequestValidationInput, res *http.Response, body []byte) error {
	err := openapi3filter.ValidateResponse(e.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: r, Status: res.StatusCode, Header: res.Header, Options: r.Options,
	})
	if err != nil {
		return err
	}
	answer := r.Route.Operation.Responses.Status(res.StatusCode)
	switch media := answer.Value.Content["application/json"]; {
	case media == nil:
		return fmt.Errorf("the document has no JSON for status %d", res.StatusCode)
	case media.Schema == nil:
		return nil
	}
	at := pointer("paths", r.Route.Path, strings.ToLower(r.Route.Method), "responses", strconv.Itoa(res.StatusCode))
	if answer.Ref != "" {
		at = answer.Ref
	}
	return e.validateBody(at, body)
}

// validateBody compares JSON with the schema of what is at a pointer into the document. A schema is compiled once for all: that
// takes longer than most comparisons with it.
func (e *env) validateBody(at string, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	of := "openapi.json" + at + pointer("content", "application/json", "schema")[1:]
	if e.schemas[of] == nil {
		e.schemas[of], err = e.compiler.Compile(of)
		require.NoError(e, err)
	}
	return e.schemas[of].Validate(value)
}

// pointer returns a JSON pointer, as the fragment of a URL.
func pointer(keys ...string) string {
	var p strings.Builder
	p.WriteString("#")
	for _, k := range keys {
		p.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(k)))
	}
	return p.String()
}

// ask sends a request, and demands that the document describes it and the answer.
func (e *env) ask(q question) []byte {
	e.Helper()
	var sent []byte
	if q.body != nil {
		sent = encode(e.T, q.body)
	}
	r := e.request(q, sent)
	r.Host = q.header["Host"]
	res, err := http.DefaultClient.Do(r)
	require.NoError(e, err)
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	require.NoError(e, err)
	if q.status == 0 {
		q.status = http.StatusOK
	}
	require.Equal(e, q.status, res.StatusCode, "%s %s %s: %s", q.method, q.path, sent, got)
	e.answered[res.StatusCode] = true

	request := e.described(e.request(q, sent))
	if request == nil {
		require.Contains(e, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, q.status, "%s %s is not in the document", q.method, q.path)
		return got
	}
	err = e.validate(request, sent)
	require.Equal(e, q.invalid, err != nil, "the document about %s %s %s: %v", q.method, q.path, sent, err)
	if q.status == http.StatusOK {
		e.asked[request.Route.Operation.OperationID] = true
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		err = e.validateAnswer(request, res, got)
		require.NoError(e, err, "%s %s answered %s", q.method, q.path, got)
	}
	return got
}

// into asks for an answer and decodes it.
func into[T any](e *env, q question) (v T) {
	e.Helper()
	require.NoError(e, json.Unmarshal(e.ask(q), &v))
	return v
}

// Every request of the document is asked on a stack, and every answer is as the document says.
func TestOperations_AnswerAsDescribed(t *testing.T) {
	for _, backend := range []harness.Backend{simstack.New(local.New(local.Options{}), simstack.Options{}), local.New(local.Options{})} {
		t.Run(backend.Name(), func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, backend, stack.Options{RetryInterval: time.Second})
			testOperations(e, backend.Name() == "sim")
			for _, op := range stackapi.Operations() {
				require.True(t, e.asked[op.ID] || backend.Name() != "sim", "%s was never answered with 200", op.ID)
			}
			for _, f := range failures {
				require.True(t, e.answered[f.status] || f.status == 409 && backend.Name() == "sim", "no answer had the status %d", f.status)
			}
		})
	}
}

func testOperations(e *env, isSim bool) {
	onlySim := func(q question) question {
		if !isSim {
			q.status = http.StatusConflict
		}
		return q
	}
	const get, post, remove = http.MethodGet, http.MethodPost, http.MethodDelete

	can := into[stackapi.Stack](e, question{method: get, path: "/stack"}).Can
	require.Equal(e, isSim, can.Skip)
	require.True(e, can.Faults)
	e.ask(question{method: get, path: "/secrets"})
	e.ask(question{method: get, path: "/openapi.json", header: map[string]string{"Authorization": ""}})
	for _, name := range stackapi.Schemas() {
		e.ask(question{method: get, path: "/schemas/" + name + ".json", header: map[string]string{"Authorization": ""}})
	}
	e.ask(question{method: get, path: "/schemas/nothing.json", status: 404})

	// A fault, and the event whose email it delays.
	fault := into[stackapi.Fault](e, question{method: post, path: "/faults", body: object{"at": "rcpt", "do": "reply", "code": 451, "times": 1}})
	held := into[stackapi.Fault](e, question{method: post, path: "/faults", body: object{"at": "dot", "do": "hold", "to": "kim@nowhere.test"}})
	running, _ := e.stack.Env()
	request, err := testenv.Create(e.Context(), running.AppURL, fixtures.Requests()[0])
	require.NoError(e, err)
	email, err := e.stack.Inbox().Wait(e.Context(), testenv.EmailOf(request))
	require.NoError(e, err)
	acted := into[stackapi.Fault](e, question{method: get, path: "/faults/" + fault.ID + "?wait=10s"})
	require.Equal(e, 1, acted.Applied)
	require.False(e, acted.Armed)
	require.True(e, held.Armed)
	require.Len(e, into[[]stackapi.Fault](e, question{method: get, path: "/faults"}), 2)
	e.ask(question{method: post, path: "/faults/" + held.ID + "/release"})
	e.ask(question{method: remove, path: "/faults/" + held.ID})

	events := into[[]stackapi.Event](e, question{method: get, path: "/events?limit=5&all=true&steps=true"})
	of := slices.IndexFunc(events, func(event stackapi.Event) bool { return event.Name == "maintenance/request.created" })
	require.GreaterOrEqual(e, of, 0)
	id := events[of].EventID
	to := email.To[0].Address
	e.ask(question{method: get, path: "/events/" + id})
	e.ask(question{method: get, path: "/events/" + id + "/trace?to=" + to + "&to=lee@nowhere.test"})

	test := object{"suite": "api", "name": "judge"}
	expectation := object{"runs": []any{object{"function": "send-request-notification", "status": "COMPLETED"}}, "mail": []any{object{"to": to, "golden": "request"}}}
	goldens := e.TempDir()
	verdict := into[stackapi.Answer](e, question{method: post, path: "/judge", body: object{
		"eventId": id, "expectation": expectation, "timeout": "20s", "test": test,
		"golden": object{"dir": goldens, "update": true, "replace": []any{object{"old": request.ID, "new": "{{request-id}}"}, object{"pattern": "at [0-9:]+", "new": "at {{time}}"}}},
	}})
	require.Equal(e, harness.Holds, verdict.Verdict.Outcome, verdict.Text)
	broken := into[stackapi.Answer](e, question{method: post, path: "/judge", body: object{
		"eventId": id, "expectation": object{"runs": []any{object{"function": "send-request-notification", "status": "FAILED"}}}, "timeout": "20s",
	}})
	require.Equal(e, harness.Broken, broken.Verdict.Outcome, broken.Text)
	e.ask(question{method: post, path: "/judge", body: object{
		"$schema": "x", "event": object{"name": "api/nothing", "data": object{"n": 1}}, "expectation": object{"runs": []any{object{"function": "none"}}}, "timeout": "0.1s", "test": test,
	}, invalid: true})
	require.True(e, into[stackapi.Compared](e, question{method: post, path: "/golden", body: object{
		"dir": goldens, "name": "request", "mail": email.ID, "replace": []any{object{"old": request.ID, "new": "{{request-id}}"}, object{"pattern": "at [0-9:]+", "new": "at {{time}}"}},
	}}).Matches)
	require.False(e, into[stackapi.Compared](e, question{method: post, path: "/golden", body: object{"dir": goldens, "name": "other", "mail": email.ID}}).Matches)
	records := e.TempDir()
	e.ask(question{method: post, path: "/tests", body: object{"suite": "api", "name": "judge", "outcome": "failed", "failures": []any{"no"}, "began": "2026-11-28T09:00:00.5Z", "report": records}})
	written, err := filepath.Glob(filepath.Join(records, "*"))
	require.NoError(e, err)
	require.NotEmpty(e, written)

	sent := into[[]stackapi.SentEvent](e, question{method: post, path: "/events", body: []any{object{"name": "api/one", "id": "key-1"}, object{"$schema": "event.json", "name": "api/two", "data": nil, "user": object{}, "ts": 1764320400000, "v": "1"}}})
	require.Len(e, sent, 2)
	e.ask(question{method: post, path: "/events", body: object{"name": "api/three"}})
	e.ask(question{method: post, path: "/invoke", body: object{"function": "send-request-notification", "data": object{"requestId": "x"}}})

	messages := into[[]harness.Message](e, question{method: get, path: "/mail?wait=10s&to=" + to + "&header=X-Maintenance-Request-Id:" + request.ID})
	require.Len(e, messages, 1)
	require.NoError(e, smtp.SendMail(e.stack.Endpoints().SMTP, nil, "a@b.test", []string{"files@b.test"}, []byte(withFile)))
	require.NotEmpty(e, into[[]harness.Message](e, question{method: get, path: "/mail?wait=10s&to=files@b.test"})[0].Attachments)
	e.ask(question{method: get, path: "/mail/" + email.ID})
	require.Contains(e, string(e.ask(question{method: get, path: "/mail/" + email.ID + "/raw"})), "Subject: ")

	e.ask(onlySim(question{method: post, path: "/skip", body: object{"by": "1.5s"}}))
	e.ask(onlySim(question{method: post, path: "/replace", body: object{"replace": []any{object{"step": "s", "outcomes": []any{object{"error": "no", "retryAfter": "3d"}}}}, "stubs": []any{object{"url": "*", "body": object{"a": 1}, "id": "mine"}}}}))
	e.ask(onlySim(question{method: post, path: "/replace", body: object{"removeStubs": []any{"mine"}}}))
	e.ask(onlySim(question{method: post, path: "/replace", body: []any{object{"step": "s"}}}))
	run := into[stackapi.Event](e, question{method: get, path: "/events/" + id}).Runs[0].ID
	e.ask(onlySim(question{method: post, path: "/skip", body: object{"by": "1d", "run": run}}))

	// Errors.
	for _, q := range []question{
		{method: get, path: "/events/x"},
		{method: get, path: "/events/x/trace"},
		{method: get, path: "/events?limit=x"},
		{method: get, path: "/events?limit=-1"},
		{method: get, path: "/mail?wait=soon"},
		{method: get, path: "/mail?header=x"},
		{method: post, path: "/services/inngest/destroy"},
	} {
		q.status, q.invalid = 400, true
		e.ask(q)
	}
	e.ask(question{method: get, path: "/events?unknown=1", status: 400}) // OpenAPI ignores further parameters
	e.ask(question{method: get, path: "/mail?to=a&to=b", status: 400})
	e.ask(question{method: get, path: "/events", header: map[string]string{"Authorization": "Bearer x"}, status: 401})
	e.ask(question{method: get, path: "/events", header: map[string]string{"Authorization": ""}, status: 401})
	e.ask(question{method: get, path: "/events", header: map[string]string{"Host": "evil.test"}, status: 403})
	e.ask(question{method: get, path: "/openapi.json", header: map[string]string{"Origin": "https://evil.test"}, status: 403})
	e.ask(question{method: get, path: "/events", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403})
	for _, path := range []string{"/events/01JDD9WRP1F5G1Y9ZVC4Q4XKZS", "/events/01JDD9WRP1F5G1Y9ZVC4Q4XKZS/trace", "/mail/none", "/mail/none/raw", "/faults/7", "/faults/0", "/faults/x", "/nothing", "/mail?to=no@no.test&wait=1ms"} {
		e.ask(question{method: get, path: path, status: 404})
	}
	e.ask(question{method: get, path: "/judge", status: 405})
	e.ask(question{method: remove, path: "/faults/7", status: 404})
	e.ask(question{method: post, path: "/faults/7/release", status: 404})
	e.ask(question{method: post, path: "/invoke", body: object{"function": "nothing"}, status: 404})
	e.ask(question{method: post, path: "/golden", body: object{"dir": goldens, "name": "request", "mail": "none"}, status: 404})

	refused := e.ask(question{method: post, path: "/events", body: object{"name": "inngest/x"}, status: 400})
	require.Contains(e, string(refused), "event name is reserved for internal use")
	large := object{"name": "api/x", "data": object{"a": strings.Repeat("a", 4<<20)}}
	require.Contains(e, string(e.ask(question{method: post, path: "/events", body: large, status: 400})), "is over the max size")
	e.ask(question{method: post, path: "/events", body: strings.Repeat("x", 64<<20), status: 413, invalid: true})

	e.refuses("/events", object{"name": "api/x", "data": object{"a": 1}, "id": "k", "user": object{"a": 1}, "ts": 1, "v": "1"})
	e.refuses("/judge", object{"eventId": id, "expectation": object{"runs": []any{object{"function": "send-request-notification"}}}, "timeout": "1ms", "golden": object{"dir": goldens, "replace": []any{object{"old": "a", "new": "b"}}}, "test": test})
	e.refuses("/invoke", object{"function": "send-request-notification", "data": object{"requestId": "x"}})
	e.refuses("/golden", object{"dir": goldens, "name": "request", "mail": email.ID, "update": false, "runHeader": "X-Run"})
	e.refuses("/faults", object{"at": "step", "do": "delay", "step": "none", "for": "1s", "times": 2, "skip": 1, "chance": 0.5, "function": "f", "attempt": 1})
	e.refuses("/tests", object{"suite": "api", "name": "other", "outcome": "skipped", "failures": []any{"x"}, "began": "2026-11-28T09:00:00Z", "run": "17"})
	if isSim {
		e.refuses("/skip", object{"by": "1s", "run": run})
		for _, body := range []object{{"by": "0s"}, {"by": "0.0h0m"}, {"until": "2037-11-28"}} {
			e.ask(question{method: post, path: "/skip", body: body, status: 400, invalid: true})
		}
		e.refuses("/skip", object{"until": "2037-11-28T09:00:00Z", "run": run})
		e.refuses("/replace", object{"faults": []any{object{"lose": true, "step": "none", "times": 3}}, "stubs": []any{object{"url": "https://none.test", "status": 200, "headers": object{"A": "b"}, "id": "x"}}, "removeStubs": []any{"x"}})
	}

	e.ask(question{method: remove, path: "/mail?to=" + to})
	e.ask(question{method: remove, path: "/mail"})
	require.Empty(e, into[[]harness.Message](e, question{method: get, path: "/mail"}))
	// What is asked of runs is answered while the mail catcher is away.
	e.ask(question{method: post, path: "/services/mailhog/stop"})
	e.ask(question{method: get, path: "/events/" + id})
	e.ask(question{method: get, path: "/mail", status: 502})
	ran := object{"function": "send-request-notification", "status": "COMPLETED"}
	answer := into[stackapi.Answer](e, question{method: post, path: "/judge", body: object{"eventId": id, "expectation": object{"runs": []any{ran}, "noOtherRuns": true}}})
	require.Equal(e, harness.Holds, answer.Verdict.Outcome, answer.Text)
	require.NotContains(e, answer.Text, "the inbox was read")
	answer = into[stackapi.Answer](e, question{method: post, path: "/judge", body: object{"eventId": id, "expectation": object{"mail": []any{object{"to": to}}}, "timeout": "0.1s"}})
	require.Equal(e, harness.CannotBeJudged, answer.Verdict.Outcome, answer.Text)
	e.ask(question{method: post, path: "/services/mailhog/start"})
	e.ask(question{method: post, path: "/services/inngest/stop"})
	e.ask(question{method: get, path: "/events", status: 502})
	e.ask(question{method: post, path: "/services/inngest/start"})
	e.ask(question{method: get, path: "/events"})

	e.api.Changed("app.go")
	e.api.Starting()(errors.New("syntax error"))
	outdated := func() string { return into[stackapi.Stack](e, question{method: get, path: "/stack"}).Outdated }
	e.ask(question{method: post, path: "/services/app/start"})
	require.Equal(e, "app.go has changed, and the app does not start with it: syntax error", outdated(), "the last good one is up, and stays")
	e.ask(question{method: post, path: "/services/app/restart"})
	require.Empty(e, outdated())
}

// refuses sends variants of a valid request. The server accepts what the document calls valid, and answers 400 to the rest, with
// the exceptions that hold for all parsers.
func (e *env) refuses(path string, body object) {
	e.Helper()
	valid := func(text string) error {
		return e.validate(e.described(e.request(question{method: http.MethodPost, path: path}, []byte(text))), []byte(text))
	}
	send := func(text string) error {
		res, err := http.DefaultClient.Do(e.request(question{method: http.MethodPost, path: path}, []byte(text)))
		require.NoError(e, err)
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		require.NoError(e, err)
		// What Inngest refuses is not for the document to say.
		ofInngest := strings.Contains(string(answer), "time goes forward only") || strings.Contains(string(answer), "the server refused")
		if res.StatusCode == http.StatusBadRequest && !ofInngest {
			return errors.New(string(answer))
		}
		return nil
	}
	require.NoError(e, valid(string(encode(e.T, body))))
	for _, text := range mutations(e.T, string(encode(e.T, body))) {
		if _, agreed := compare(e.T, text, valid, send); !agreed {
			e.Errorf("POST %s\n%s\nthe document says: %v\nthe server says: %v", path, text, valid(text), send(text))
		}
	}
	for _, text := range []string{"", "{", `"x"`, "null", "{} {}", "\x00", strings.Repeat("[", 1<<20)} {
		require.Error(e, send(text), "%.100s", text)
	}
}

const withFile = "Subject: a file\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n" +
	"Here it is.\r\n--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
	"JVBERi0=\r\n--x--\r\n"

func TestMain(m *testing.M) {
	testenv.RunProgram()
	os.Exit(m.Run())
}
