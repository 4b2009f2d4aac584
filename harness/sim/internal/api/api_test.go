package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/graph-gophers/graphql-go"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/engine"
)

func TestSchema_IsResolved(t *testing.T) {
	t.Parallel()
	_, err := graphql.ParseSchema(schema, &query{}, graphql.UseFieldResolvers())
	require.NoError(t, err)
}

// world is an API with an app of three functions behind it: one runs a step, one sleeps for a day, one fails.
type world struct {
	t      *testing.T
	api    http.Handler
	driver *engine.Driver
	engine *engine.Engine
}

func newWorld(t *testing.T) *world {
	e := engine.New(engine.Options{Clock: clock.New(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), false), Keep: 100, CallTimeout: time.Minute})
	w := &world{t, New(e, Options{}), engine.NewDriver(e), e}
	app := httptest.NewServer(http.HandlerFunc(serveApp))
	t.Cleanup(func() {
		app.Close()
		require.NoError(t, w.driver.Close(context.Background()))
	})
	functions := ""
	for _, id := range []string{"works", "sleeps", "fails"} {
		functions += fmt.Sprintf(`,{"id":"shop-%[1]s","name":"%[1]s","triggers":[{"event":"%[1]s"}],"steps":{"step":{"id":"step","name":"step",
			"runtime":{"url":"%[2]s/?fnId=shop-%[1]s"},"retries":{"attempts":0}}}}`, id, app.URL)
	}
	status, body := w.do("POST", "/fn/register", `{"appName":"shop","url":"`+app.URL+`","sdk":"js:v4.0.0","functions":[`+functions[1:]+`]}`)
	require.Equal(t, http.StatusOK, status, "%s", body)
	return w
}

func serveApp(w http.ResponseWriter, r *http.Request) {
	var call sdk.Call
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set(sdk.HeaderSDK, "js:v4.0.0")
	_, done := call.Steps["a"]
	switch r.URL.Query().Get("fnId") {
	case "shop-fails":
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"name":"Error","message":"out of paper"}`)
	case "shop-sleeps":
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, `[{"op":"Sleep","id":"nap","name":"24h"}]`)
	default:
		if done {
			_, _ = fmt.Fprintf(w, `{"got":%s}`, call.Steps["a"])
			return
		}
		w.WriteHeader(http.StatusPartialContent)
		_, _ = fmt.Fprintf(w, `[{"op":"StepRun","id":"a","name":"add","data":%s}]`, string(append([]byte("1"), call.Steps["a"]...)))
	}
}

func (w *world) do(method, path, body string) (status int, answer string) {
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, bytes.NewBufferString(body))
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// send sends an event and lets everything happen that can happen now. It returns the ids of the event and of its run.
func (w *world) send(name string) (event, run string) {
	_, body := w.do("POST", "/e/key", `{"name":"`+name+`","id":"`+name+`-1","data":{"n":3}}`)
	var sent sdk.SendAnswer
	require.NoError(w.t, json.Unmarshal([]byte(body), &sent))
	require.NoError(w.t, w.driver.RunUntil(w.t.Context(), w.engine.Now()))
	runs := w.engine.Runs(sent.IDs[0])
	require.Len(w.t, runs, 1)
	return sent.IDs[0], runs[0].ID
}

func (w *world) ask(query string) (status int, answer string) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"unknown": 1}})
	require.NoError(w.t, err)
	return w.do("POST", "/v0/gql", string(body))
}

func TestGraphQL_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for query, want := range map[string]struct {
		status int
		part   string
	}{
		"{ apps { name } }": {200, `{"data":{"apps":[{"name":"shop"}]}}`},
		"{ apps { nmae } }": {422, `"code":"GRAPHQL_VALIDATION_FAILED"`},
		"{ apps {":          {422, `"code":"GRAPHQL_PARSE_FAILED"`},
		"query ($id: String!) { run(runID: $id) { id } }":       {422, `"data":null`},
		`{ run(runID: "gone") { id } }`:                         {200, `"data":{"run":null}`},
		`{ runTrace(runID: "gone") { name } }`:                  {200, `"data":null`},
		`{ eventV2(id: "01M8J3A3NB870538RDJWSJ1M8S") { id } }`:  {200, `event not found: 01M8J3A3NB870538RDJWSJ1M8S`},
		`{ runTraceSpanOutputByID(outputID: "junk") { data } }`: {200, `"data":null`},
	} {
		status, body := w.ask(query)
		require.Equal(t, want.status, status, "%s: %s", query, body)
		require.Contains(t, body, want.part, query)
	}
}

func TestGraphQL_ListsRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, works := w.send("works")
	_, fails := w.send("fails")
	_, sleeps := w.send("sleeps")
	const fields = `{ totalCount edges { cursor node { id } } pageInfo { hasNextPage endCursor } }`
	list := func(first int, after, order, filter string) (ids []string, total int, end string) {
		_, body := w.ask(fmt.Sprintf(`{ runs(first: %d, after: %q, orderBy: [%s], filter: {from: "2020-01-01T00:00:00Z" %s}) %s }`, first, after, order, filter, fields))
		var got struct {
			Data struct {
				Runs struct {
					TotalCount int
					Edges      []struct{ Node struct{ ID string } }
					PageInfo   struct{ EndCursor string }
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(body), &got), body)
		for _, e := range got.Data.Runs.Edges {
			ids = append(ids, e.Node.ID)
		}
		return ids, got.Data.Runs.TotalCount, got.Data.Runs.PageInfo.EndCursor
	}
	const queued = "{field: QUEUED_AT, direction: ASC}"
	for filter, want := range map[string][]string{
		``:                              {works, fails, sleeps},
		`status: [FAILED]`:              {fails},
		`status: []`:                    {works, fails, sleeps},
		`timeField: ENDED_AT`:           {works, fails},
		`until: "2026-03-02T10:00:00Z"`: nil,
		`query: "event.data.n > 2\nevent.name == 'works'"`: {works},
		`query: "output.got.data == 1"`:                    {works},
		`query: "error.message == 'out of paper'"`:         {fails},
		`isDeferred: true`:                                 nil,
	} {
		ids, total, _ := list(10, "", queued, filter)
		require.ElementsMatch(t, want, ids, filter)
		require.Len(t, want, total, filter)
	}
	first, total, end := list(2, "", queued, "")
	rest, _, _ := list(2, end, queued, "")
	require.Len(t, first, 2)
	require.Equal(t, 3, total)
	require.ElementsMatch(t, []string{works, fails, sleeps}, append(first, rest...))
	_, body := w.ask(`{ runs(orderBy: [], filter: {from: "2020-01-01T00:00:00Z", query: "event.("}) { totalCount } }`)
	require.Contains(t, body, "Syntax error")
}

func TestRerun_RepeatsRunFromStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	event, run := w.send("works")
	again := func(from string) engine.Run {
		_, body := w.ask(fmt.Sprintf(`mutation { rerun(runID: %q %s) }`, run, from))
		var got struct{ Data struct{ Rerun string } }
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		require.NotEmpty(t, got.Data.Rerun, body)
		require.NoError(t, w.driver.Run(t.Context()))
		r, ok := w.engine.Run(got.Data.Rerun)
		require.True(t, ok)
		require.Equal(t, event, r.Event.EventID)
		require.Equal(t, run, r.Original)
		return r
	}
	require.JSONEq(t, `{"got":{"data":1}}`, string(again("").Output))
	// The app of this test adds to its step's result what it is given.
	whole := again(`fromStep: {stepID: "a"}`)
	require.JSONEq(t, `{"got":{"data":1}}`, string(whole.Output))
	_, body := w.ask(fmt.Sprintf(`mutation { rerun(runID: %q, fromStep: {stepID: "gone"}) }`, run))
	require.Contains(t, body, "rerun step not found")
	_, body = w.ask(fmt.Sprintf(`mutation { rerun(runID: %q, fromStep: {stepID: "a", input: "{}"}) }`, run))
	require.Contains(t, body, "input is not an array")
}

func TestCancelRun_EndsRunOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, sleeps := w.send("sleeps")
	_, works := w.send("works")
	for range 2 {
		_, body := w.ask(`mutation { cancelRun(runID: "` + sleeps + `") { status output } }`)
		require.JSONEq(t, `{"data":{"cancelRun":{"status":"CANCELLED","output":"{}"}}}`, body)
	}
	_, body := w.ask(`mutation { cancelRun(runID: "` + works + `") { status } }`)
	require.Contains(t, body, "cannot cancel an ended run")
}

func TestREST_AnswersAsServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	event, works := w.send("works")
	_, fails := w.send("fails")
	_, sleeps := w.send("sleeps")
	uuid := w.engine.Functions()[0].UUID
	const unknown = "01M8J3A3NB870538RDJWSJ1M8S"
	for _, tt := range []struct {
		method, path, body string
		status             int
		part               string
	}{
		{"GET", "/v1/events?limit=1", "", 200, `"name":"sleeps"`},
		{"GET", "/v1/events?received_after=soon", "", 200, `"status":400`},
		{"GET", "/v1/events/" + event, "", 200, `"id":"works-1","name":"works"`},
		{"GET", "/v1/events/" + event + "/runs", "", 200, `"status":"Completed"`},
		{"GET", "/v1/events/" + unknown, "", 200, `"status":404`},
		{"GET", "/v1/runs/" + fails, "", 200, `"output":{"name":"Error","message":"out of paper"}`},
		{"GET", "/v1/runs/" + unknown, "", 200, `"status":500`},
		{"GET", "/v1/runs/" + works + "/jobs", "", 200, `"data":[]`},
		{"GET", "/v1/apps/shop/functions", "", 200, `"id":"shop-fails"`},
		{"POST", "/v1/cancellations", `{"app_id":"shop"}`, 400, "function_id is required"},
		{"POST", "/v1/cancellations", `{"app_id":"shop","function_id":"shop-gone","started_before":"2026-03-02T10:00:00Z"}`, 404, "function not found"},
		{"GET", "/v0/runs/" + works + "/actions", "", 410, "no longer available"},
		{"GET", "/v0/runs/x/batch", "", 400, "The run ID specified is invalid"},
		{"GET", "/v0/runs/" + sleeps + "/batch", "", 200, `"name":"sleeps"`},
		{"DELETE", "/v0/runs/" + works, "", 404, "could not be found"},
		{"GET", "/api/v2/health", "", 200, `"data":{"status":"ok"}`},
		{"GET", "/v2/apps", "", 200, `"functionCount":3`},
		{"GET", "/api/v2/apps/shop/functions/works", "", 200, `"retries":{"isDefault":false,"value":0}`},
		{"GET", "/api/v2/apps/shop/functions/gone", "", 404, `"code":"not_found"`},
		{"GET", "/api/v2/apps/shop/functions/works/runs", "", 200, works},
		{"GET", "/api/v2/runs?limit=1", "", 200, `"hasMore":true`},
		{"GET", "/api/v2/runs/" + works + "?includeOutput=true", "", 200, `"output":{"got":{"data":1}}`},
		{"GET", "/api/v2/runs/" + works + "/trace?includeOutput=true", "", 200, `"output":{"data":1}`},
		{"GET", "/api/v2/runs/" + unknown, "", 404, `"message":"Run not found"`},
		{"GET", "/api/v2/runs/x", "", 400, `"code":"invalid_field_format"`},
		{"POST", "/api/v2/runs/" + works + "/cancel", "", 409, `"code":"run_already_ended"`},
		{"POST", "/api/v2/runs/" + works + "/rerun", "", 200, `"runId"`},
		{"POST", "/api/v2/apps/shop/functions/works/invoke", `{"data":{"n":1}}`, 200, `"runId"`},
		{"POST", "/api/v2/apps/shop/functions/gone/invoke", `{}`, 404, "Function not found"},
		{"POST", "/api/v2/events", `{"name":"works"}`, 200, `"eventId"`},
		{"POST", "/fn/step-limit?functionId=" + uuid + "&limit=0", "", 400, "limit must be a number"},
		{"POST", "/fn/step-limit?functionId=gone&limit=1", "", 404, "no function has the id gone"},
		{"DELETE", "/v1/runs/" + sleeps, "", 200, ""},
		{"DELETE", "/fn/remove?url=http://nowhere.invalid", "", 404, ""},
	} {
		status, body := w.do(tt.method, tt.path, tt.body)
		require.Equal(t, tt.status, status, "%s %s: %s", tt.method, tt.path, body)
		require.Contains(t, body, tt.part, "%s %s", tt.method, tt.path)
	}
}

func TestLimits_HoldForOneFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var works string
	for _, f := range w.engine.Functions() {
		if f.ID == "shop-works" {
			works = f.UUID
		}
	}
	for path, want := range map[string]string{
		"/fn/step-limit":       `{"error":{"error":"function has too many steps","name":"InngestErrFunctionOverflowed","message":"The function run exceeded the step limit of 1 steps."}}`,
		"/fn/state-size-limit": `{"error":{"error":"InngestErrStateOverflowed: The function run exceeded the state size limit of 1 bytes.","name":"InngestErrStateOverflowed","message":"The function run exceeded the state size limit of 1 bytes."}}`,
	} {
		status, _ := w.do("POST", path+"?limit=1&functionId="+works, "")
		require.Equal(t, http.StatusOK, status)
		id, err := w.engine.StartFunction("shop-works", engine.EventBody{})
		require.NoError(t, err)
		require.NoError(t, w.driver.Run(t.Context()))
		r, _ := w.engine.Run(id)
		require.Equal(t, want, *outputOf(r))
		status, _ = w.do("DELETE", path+"?functionId="+works, "")
		require.Equal(t, http.StatusOK, status)
	}
	_, run := w.send("works")
	r, _ := w.engine.Run(run)
	require.Equal(t, `{"got":{"data":1}}`, string(r.Output))
}

func TestReset_EndsRunsAndKeepsApps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, sleeps := w.send("sleeps")
	status, body := w.do("POST", "/test/reset", "")
	require.Equal(t, http.StatusOK, status, body)
	r, _ := w.engine.Run(sleeps)
	require.True(t, r.Status.Final())
	require.True(t, w.driver.Idle())
	require.Len(t, w.engine.Functions(), 3)
}

func TestGraphQL_AddsMovesAndRemovesApps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	serve := func() string {
		var app *httptest.Server
		app = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			w.do("POST", "/fn/register", `{"appName":"branch","url":"`+app.URL+`","sdk":"js:v4.0.0","functions":[
				{"id":"branch-sells","name":"sells","triggers":[{"event":"sells"}],"steps":{"step":{"id":"step","name":"step","runtime":{"url":"`+app.URL+`"}}}}]}`)
		}))
		t.Cleanup(app.Close)
		return app.URL
	}
	first, second := serve(), serve()
	const answer = `{ id name url }`
	_, body := w.ask(fmt.Sprintf(`mutation { createApp(input: {url: %q}) %s }`, first, answer))
	var got struct {
		Data struct{ CreateApp struct{ ID string } }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &got), body)
	id := got.Data.CreateApp.ID
	require.Equal(t, `{"data":{"createApp":{"id":"`+id+`","name":"branch","url":"`+first+`"}}}`, strings.TrimSpace(body))

	_, body = w.ask(fmt.Sprintf(`mutation { updateApp(input: {url: %q, id: %q}) %s }`, second, id, answer))
	require.Equal(t, `{"data":{"updateApp":{"id":"`+id+`","name":"branch","url":"`+second+`"}}}`, strings.TrimSpace(body))
	_, body = w.ask(fmt.Sprintf(`mutation { updateApp(input: {url: %q, id: "another"}) %s }`, second, answer))
	require.Contains(t, body, "no app has the id another")

	_, body = w.ask(fmt.Sprintf(`mutation { deleteApp(id: %q) }`, id))
	require.Equal(t, `{"data":{"deleteApp":"`+id+`"}}`, strings.TrimSpace(body))
	_, body = w.ask(`{ apps { name } }`)
	require.Equal(t, `{"data":{"apps":[{"name":"shop"}]}}`, strings.TrimSpace(body))
}

// SDKs of apps that connect differ in the addresses that they register.
func TestRegister_TakesStepURLsOfHTTPAndWebSocket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for scheme, status := range map[string]int{"http": 200, "https": 200, "ws": 200, "wss": 200, "ftp": 400} {
		got, body := w.do("POST", "/fn/register", `{"appName":"`+scheme+`","url":"`+scheme+`://connect","sdk":"js:v4.0.0","functions":[
			{"id":"`+scheme+`-sells","name":"sells","triggers":[{"event":"sells"}],"steps":{"step":{"id":"step","name":"step","runtime":{"url":"`+scheme+`://connect/?fnId=sells"}}}}]}`)
		require.Equal(t, status, got, "%s: %s", scheme, body)
	}
}
