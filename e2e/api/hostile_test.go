package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
)

// What no client sends that means well is answered with an error in JSON, and the server answers the next request.
func TestServer_WithstandsWhatIsWrong(t *testing.T) {
	t.Parallel()
	e := newEnv(t, simstack.New(local.New(local.Options{}), simstack.Options{}), stack.Options{WithoutTaps: true})
	ok := func() { e.ask(question{method: http.MethodGet, path: "/stack"}) }

	// Bodies.
	for name, tt := range map[string]struct {
		body io.Reader
		says string
	}{
		"endless":      {io.LimitReader(endless{}, 100<<20), "the request has more than 64 MiB"},
		"deep":         {strings.NewReader(`{"name":"x","data":` + strings.Repeat(`{"a":`, 1<<20)), "exceeded max depth"},
		"deep lists":   {strings.NewReader(strings.Repeat("[", 8<<20)), "exceeded max depth"},
		"twice":        {strings.NewReader(`{"name":"a","name":"b"}`), "name occurs twice"},
		"more":         {strings.NewReader(`{"name":"a"}{"name":"b"}`), "more behind"},
		"no UTF-8":     {strings.NewReader("{\"name\":\"a\xff\"}"), "it is not in UTF-8"},
		"a form":       {strings.NewReader("name=a"), "it is no JSON, in line 1, column 2"},
		"cut off":      {strings.NewReader(`{"name":"a`), "the JSON ends before it is complete"},
		"large number": {strings.NewReader(`{"name":"a","ts":` + strings.Repeat("9", 1000) + `}`), "ts is number"},
		"empty":        {http.NoBody, "no body"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/events", tt.body)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if name == "endless" && err != nil {
			ok() // the server has closed the connection while the client was sending
			continue
		}
		require.NoError(t, err, name)
		if name == "endless" {
			requireFailure(t, res, http.StatusRequestEntityTooLarge, "too-large", tt.says)
		} else {
			requireFailure(t, res, http.StatusBadRequest, "invalid", tt.says)
		}
		ok()
	}

	// Types of content, and methods: the body decides, a page of another site gets no answer that it can read.
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"} {
		res := e.send(http.MethodPost, "/events", `{"name":"api/typed"}`, "Content-Type", kind)
		require.Equal(t, http.StatusOK, res.StatusCode, kind)
	}
	preflight := e.send(http.MethodOptions, "/events", "", "Origin", "https://evil.test", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
	require.Empty(t, preflight.Header.Get("Access-Control-Allow-Origin"))
	requireFailure(t, preflight, http.StatusForbidden, "refused", "https://evil.test")
	for _, method := range []string{http.MethodOptions, http.MethodPut, http.MethodDelete} {
		res := e.send(method, "/events", "{}")
		require.Equal(t, "GET, POST", res.Header.Get("Allow"))
		requireFailure(t, res, http.StatusMethodNotAllowed, "not-allowed", method+" /api/v1/events: its method is GET or POST")
	}
	head := e.send(http.MethodHead, "/stack", "")
	require.Equal(t, http.StatusOK, head.StatusCode)
	require.Equal(t, "nosniff", head.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "no-store", head.Header.Get("Cache-Control"))
	requireFailure(t, e.send(http.MethodPost, "/events", `{"name":"api/x"}`, "Origin", "https://evil.test"), http.StatusForbidden, "refused", "evil.test")
	requireFailure(t, e.send(http.MethodPost, "/events", `{"name":"api/x"}`, "Origin", "null"), http.StatusForbidden, "refused", "null")

	// Addresses that a server of files would redirect, and queries and bodies of which nothing is ignored.
	for _, path := range []string{"//events", "/", "", "/./events", "/events/", "/mail/../events"} {
		requireFailure(t, e.send(http.MethodPost, path, `{"name":"api/x"}`), http.StatusNotFound, "not-found", "does not know")
	}
	for path, says := range map[string]string{
		"/events?%zz": `invalid URL escape "%zz"`, "/events?limit=1;all=true": "semicolon", "/events?all=yes": `"yes" is not true or false`, "/events?all=1": "not true or false",
		"/openapi.json?a=1": `unknown parameter "a"`, "/schemas/event.json?a=1": "unknown parameter", "/mail/x/raw?a=1": "unknown parameter",
	} {
		requireFailure(t, e.send(http.MethodGet, path, ""), http.StatusBadRequest, "invalid", says)
	}
	requireFailure(t, e.send(http.MethodDelete, "/mail?wait=1s", ""), http.StatusBadRequest, "invalid", `unknown parameter "wait"`)
	requireFailure(t, e.send(http.MethodDelete, "/mail", `{"to":"kim@plant.test"}`), http.StatusBadRequest, "invalid", "DELETE /api/v1/mail takes no body")
	require.Equal(t, http.StatusOK, e.send(http.MethodDelete, "/mail", "{}").StatusCode)

	// Tokens.
	for _, given := range []string{"", token, "Bearer", "Bearer ", "Bearer x", "Basic " + token, "Bearer " + token + "x", "Bearer " + token[1:], "Bearer  " + token} {
		requireFailure(t, e.send(http.MethodGet, "/stack", "", "Authorization", given), http.StatusUnauthorized, "unauthorized", "Authorization: Bearer TOKEN")
	}

	// Ids that want out of their place. Raw requests: a client would tidy the path.
	for _, path := range []string{
		"/mail/..%2f..%2fapi", "/mail/%2e%2e%2f%2e%2e", "/mail/..%5c..", "/schemas/..%2fopenapi.json", "/schemas/%2e%2e", "/schemas/a%00.json",
		"/faults/1%2frelease", "/faults/-1", "/faults/+1", "/faults/01", "/faults/9999999999999999999999", "/events/%0d%0aX: y",
	} {
		status, body := e.raw("GET " + stackapi.Prefix + path + " HTTP/1.1")
		require.Contains(t, []int{400, 404}, status, "%s: %s", path, body)
		require.NotContains(t, body, "openapi\":", path)
	}
	status, _ := e.raw("GET " + stackapi.Prefix + "/../../etc/passwd HTTP/1.1")
	require.Contains(t, []int{301, 307, 400, 404}, status)
	requireFailure(t, e.send(http.MethodPost, "/services/..%2fmongo/stop", ""), http.StatusNotFound, "not-found", "")
	requireFailure(t, e.send(http.MethodPost, "/services/none/stop", ""), http.StatusNotFound, "not-found", "none")

	// Without taps there are no faults.
	e.ask(question{method: http.MethodPost, path: "/faults", body: object{"at": "dot", "do": "hold"}, status: http.StatusConflict})
	ok()
}

// endless is a JSON text without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte(" "), len(p)))
	return len(p), nil
}

// send sends a request with headers, given as names and values in turn. A header without a value is left out.
func (e *env) send(method, path, body string, headers ...string) *http.Response {
	e.Helper()
	r, err := http.NewRequestWithContext(e.Context(), method, e.url+path, strings.NewReader(body))
	require.NoError(e, err)
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(e, err)
	e.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// raw sends a request line as it is, and returns the answer.
func (e *env) raw(line string) (status int, body string) {
	e.Helper()
	host := strings.TrimPrefix(strings.TrimSuffix(e.url, stackapi.Prefix), "http://")
	conn, err := net.Dial("tcp", host)
	require.NoError(e, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "%s\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", line, host, token)
	require.NoError(e, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(e, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(e, err)
	return res.StatusCode, string(data)
}

func requireFailure(t *testing.T, res *http.Response, status int, code, says string) {
	t.Helper()
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, status, res.StatusCode, "%s", data)
	var f stackapi.Failure
	require.NoError(t, json.Unmarshal(data, &f), "%s", data)
	require.Equal(t, code, f.Code)
	require.Contains(t, f.Error, says)
	require.Less(t, len(data), 2000)
}

// Requests at the same time each get their own answer, and one whose client hangs up ends.
func TestServer_AnswersManyAtOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t, simstack.New(local.New(local.Options{}), simstack.Options{}), stack.Options{})
	var wg sync.WaitGroup
	var answered sync.Map // by the ids of the events
	for i := range 40 {
		wg.Go(func() {
			data, err := json.Marshal(object{
				"event": object{"name": fmt.Sprintf("api/many-%d", i)}, "expectation": object{"runs": []any{object{"function": "none"}}}, "timeout": "10ms",
				"test": object{"suite": "many", "name": fmt.Sprint(i)},
			})
			assertNoError(e, err)
			var answer stackapi.Answer
			res := e.send(http.MethodPost, "/judge", string(data))
			assertNoError(e, json.NewDecoder(res.Body).Decode(&answer))
			if answer.Verdict == nil || answer.Verdict.Trace.EventID != answer.EventID {
				e.Errorf("question %d got the answer to another: %+v", i, answer)
			} else if _, twice := answered.LoadOrStore(answer.EventID, i); twice {
				e.Errorf("two questions got the answer about %s", answer.EventID)
			}
		})
	}
	wg.Wait()

	// A client that hangs up: the judge ends, so the server can end.
	sent := into[[]stackapi.SentEvent](e, question{method: http.MethodPost, path: "/events", body: object{"name": "api/waits"}})
	ctx, cancel := context.WithCancel(t.Context())
	body := strings.NewReader(fmt.Sprintf(`{"eventId":%q,"expectation":{"runs":[{"function":"none"}]},"timeout":"1h"}`, sent[0].EventID))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/judge", body)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	hungUp := make(chan error, 1)
	go func() {
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = res.Body.Close()
		}
		hungUp <- err
	}()
	require.Eventually(t, func() bool { return e.waiting.Load() == 1 }, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-hungUp, context.Canceled)
	require.Eventually(t, func() bool { return e.waiting.Load() == 0 }, 10*time.Second, time.Millisecond, "the judge goes on without its client")
}

func assertNoError(e *env, err error) {
	if err != nil {
		e.Error(err)
	}
}

// Requests that wait when the stack ends are told so.
func TestServer_AnswersWhenStackEnds(t *testing.T) {
	t.Parallel()
	e := newEnv(t, simstack.New(local.New(local.Options{}), simstack.Options{}), stack.Options{})
	sent := into[[]stackapi.SentEvent](e, question{method: http.MethodPost, path: "/events", body: object{"name": "api/waits"}})
	fault := into[stackapi.Fault](e, question{method: http.MethodPost, path: "/faults", body: object{"at": "dot", "do": "hold"}})
	answers := make(chan *http.Response, 3)
	go func() { answers <- e.send(http.MethodGet, "/mail?wait=1h", "") }()
	go func() { answers <- e.send(http.MethodGet, "/faults/"+fault.ID+"?wait=1h", "") }()
	go func() {
		answers <- e.send(http.MethodPost, "/judge", fmt.Sprintf(`{"eventId":%q,"expectation":{"runs":[{"function":"none"}]},"timeout":"1h"}`, sent[0].EventID))
	}()
	require.Eventually(t, func() bool { return e.waiting.Load() == 3 }, 10*time.Second, time.Millisecond)
	e.api.End()
	for range 3 {
		requireFailure(t, <-answers, http.StatusBadGateway, "failed", "the stack is being stopped")
	}
}
