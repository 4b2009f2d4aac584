package sim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// endpoint is a durable endpoint that answers the server's calls.
func endpoint(t *testing.T, answer http.HandlerFunc) (domain string) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(sdk.HeaderSDK, "test:v1")
		answer(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// begin reports a run of an endpoint, with a sleep of a day.
func begin(t *testing.T, s *sim.Sim, domain string) (runID, token string) {
	id := ulid.Make().String()
	body := fmt.Sprintf(`{"run_id":%q,"retries":1,"event":{"name":"inngest/http.request","data":{"domain":%q,"method":"PUT","path":"/orders","body":"e30="}},
		"steps":[{"op":"Sleep","id":%q,"name":"24h","userland":{"id":"nap"}}]}`, id, domain, sdk.StepHash("nap"))
	resp, err := s.HTTPClient().Post(sim.BaseURL+"/v1/checkpoint", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var a struct{ Data sdk.NewRunAnswer }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&a))
	return id, a.Data.Token
}

func TestSim_SleepsForADayInDurableEndpoint(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Start: start})
	domain := endpoint(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	id, token := begin(t, s, domain)
	output := make(chan string)
	go func() {
		resp, err := s.HTTPClient().Get(sim.BaseURL + "/v1/http/runs/" + id + "/output?token=" + token)
		if err != nil {
			output <- err.Error()
			return
		}
		text, _ := io.ReadAll(resp.Body)
		output <- string(text)
	}()
	run, ok := s.FindRun(id)
	require.True(t, ok)
	require.Equal(t, harness.StatusRunning, run.Status)
	require.Equal(t, "PUT /orders", run.FunctionID)
	require.NoError(t, s.Run(t.Context()))
	require.Equal(t, "{}", <-output, "the reader waited")
	run, _ = s.FindRun(id)
	require.Equal(t, harness.StatusCompleted, run.Status)
	require.Equal(t, start.Add(24*time.Hour), run.Ended)
	require.Equal(t, sdk.EventHTTPRequest, run.Event.Name)
	require.Equal(t, domain, run.Event.Data["domain"])
	require.Equal(t, 1, run.Calls)
}

func TestSim_LeavesRunOfEndpointThatFailsAsServerDoes(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Start: start})
	id, _ := begin(t, s, endpoint(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) }))
	require.NoError(t, s.Run(t.Context()))
	run, _ := s.FindRun(id)
	require.Equal(t, harness.StatusRunning, run.Status)
	require.Contains(t, run.Stuck, "neither calls the endpoint again nor ends the run, as the last of 2 attempts failed")
	require.Len(t, run.FailedCalls, 2)
}

func TestSim_RefusesRequestsOfEndpointsThatServerRefuses(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Start: start})
	for _, c := range []struct {
		path, body, says string
		status           int
	}{
		{"/v1/checkpoint", `{`, "invalid request body", 400},
		{"/v1/http/runs", `{"run_id":"7"}`, "run id", 400},
		{"/v1/checkpoint", `{"run_id":"01JNGVNB7BJVRCZWTBF8G73BPJ","event":{"data":{"domain":"shop"}}}`, "is not an HTTP address", 400},
		{"/v1/checkpoint", `{"run_id":"01JNGVNB7BJVRCZWTBF8G73BPJ","event":{"data":{"domain":"http://127.0.0.1:1","method":"GE T"}}}`,
			"the request cannot be repeated", 400},
		{"/v1/checkpoint/01JNGVNB7BJVRCZWTBF8G73BPJ/steps", `[]`, "invalid request body", 400},
		{"/v1/checkpoint/01JNGVNB7BJVRCZWTBF8G73BPJ/steps", `{"run_id":"01JNGVNB7BJVRCZWTBF8G73BPJ"}`, "", 200},
		{"/v1/checkpoint/01JNGVNB7BJVRCZWTBF8G73BPJ/output?token=x", ``, "Unable to find run with auth token", 401},
	} {
		resp, err := s.HTTPClient().Post(sim.BaseURL+c.path, "application/json", strings.NewReader(c.body))
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, c.status, resp.StatusCode, c.path)
		require.Contains(t, string(text), c.says)
	}
}

func TestSim_RepeatsRequestOfEndpointWhoseFetchFails(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Start: start})
	require.NoError(t, s.Stub(sim.Stub{URL: "https://bank.test/*", Error: "connection reset"}))
	domain := endpoint(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "again") })
	id := ulid.Make().String()
	body := fmt.Sprintf(`{"run_id":%q,"retries":1,"event":{"name":"inngest/http.request","data":{"domain":%q,"method":"POST","path":"/pay"}},
		"steps":[{"op":"Gateway","id":%q,"name":"ask","opts":{"url":"https://bank.test/rate","method":"GET"}}]}`, id, domain, sdk.StepHash("ask"))
	resp, err := s.HTTPClient().Post(sim.BaseURL+"/v1/checkpoint", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, s.Run(t.Context()))
	run, _ := s.FindRun(id)
	require.Equal(t, harness.StatusCompleted, run.Status)
	require.Equal(t, 1, run.Calls)
}

func TestSim_ReportOfEndpointDoesNotTouchAnotherRun(t *testing.T) {
	t.Parallel()
	s := sim.New(sim.Options{Start: start})
	require.NoError(t, s.RegisterHandler(t.Context(), napper{}))
	event, err := s.Send(t.Context(), harness.Event{Name: "go"})
	require.NoError(t, err)
	require.NoError(t, s.Settle(t.Context()))
	id := s.RunsOf(event)[0].ID
	body := fmt.Sprintf(`{"run_id":%q,"event":{"name":"inngest/http.request","data":{"domain":"http://127.0.0.1:1","method":"GET","path":"/"}},
		"steps":[{"op":"RunComplete","id":"aa","data":{"status":200}}]}`, id)
	_, err = s.HTTPClient().Post(sim.BaseURL+"/v1/checkpoint", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	run, _ := s.FindRun(id)
	require.False(t, run.Status.Final())
}
