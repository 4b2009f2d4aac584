package inngestapi_test

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

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// TestTrace_HasArgumentsOfSteps: SDKs such as the JavaScript one tell what the code hands to a step. The app here
// speaks their protocol by itself.
func TestTrace_HasArgumentsOfSteps(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	var app *httptest.Server
	app = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Inngest-Req-Version", "1")
		w.Header().Set("X-Inngest-Sdk", "test:v1")
		if r.Method == http.MethodPut {
			url := app.URL + "/api/inngest"
			body := fmt.Sprintf(`{"url":%q,"v":"0.1","deployType":"ping","sdk":"test:v1","appName":"arguments","framework":"","capabilities":{},"functions":[
				{"id":"arguments-greet","name":"greet","triggers":[{"event":"arguments/greet"}],
				"steps":{"step":{"id":"step","name":"step","runtime":{"type":"http","url":%q}}}}]}`, url, url+"?fnId=arguments-greet&stepId=step")
			res, err := http.Post(server.URL+"/fn/register", "application/json", bytes.NewBufferString(body))
			if err == nil {
				_, err = io.Copy(w, res.Body)
				res.Body.Close()
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
			return
		}
		var call struct {
			Steps map[string]json.RawMessage `json:"steps"`
		}
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		const greet, wave = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222" // hashed ids
		switch {
		case call.Steps[greet] == nil:
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprintf(w, `[{"op":"StepRun","id":%q,"displayName":"greet","opts":{"input":["Kim",2]},"data":"Hello"}]`, greet)
		default: // the end of a function reports the steps that it has not reported yet
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprintf(w, `[{"op":"StepRun","id":%q,"displayName":"wave","data":"o/"},{"op":"RunComplete","id":"3","data":"done"}]`, wave)
		}
	}))
	t.Cleanup(app.Close)
	at := inngestapi.App{URL: app.URL + "/api/inngest"}
	_, err := api.Sync(limit(t), at)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, api.RemoveApp(context.Background(), at)) })

	ids, err := api.Send(limit(t), harness.Event{Name: "arguments/greet"})
	require.NoError(t, err)
	var trace inngestapi.RunTrace
	var runs []inngestapi.Run
	eventually(t, "both steps of the run", func() bool {
		runs, err = api.EventRuns(limit(t), ids[0])
		if err != nil || len(runs) == 0 || !runs[0].Status.Final() {
			return false
		}
		trace, err = api.Trace(limit(t), runs[0].ID)
		return err == nil && len(trace.Steps) == 2
	})
	require.JSONEq(t, `["Kim",2]`, string(trace.Steps[0].Input))
	require.Nil(t, trace.Steps[1].Input, "the SDK reports none")

	eventually(t, "the server's own output", func() bool { return strings.Contains(ask(t, `{run(runID:"`+runs[0].ID+`"){output}}`), "RunComplete") })
	for _, c := range []*inngestapi.Client{api, newClient(t, without(t, 404, "/v0/gql"))} {
		run, err := c.Run(limit(t), runs[0].ID)
		require.NoError(t, err)
		require.JSONEq(t, `"done"`, string(run.Output))
	}
}
