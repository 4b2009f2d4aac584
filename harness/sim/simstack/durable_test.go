package simstack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/inngest/inngestgo"
	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// withEndpoint is an app with a durable endpoint that sleeps for a day and then sends an email. It speaks the protocol by
// itself, as the JavaScript SDK does.
func withEndpoint() stack.HandlerFunc {
	functions := define(func(c inngestgo.Client, _ harness.Env) error {
		_, err := on(c, "order/paid", "ship", func(context.Context, in) (any, error) { return nil, nil })
		return err
	})
	return func(ctx context.Context, env harness.Env) (http.Handler, error) {
		app, err := functions(ctx, env)
		if err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		mux.Handle("/api/inngest", app)
		mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(sdk.HeaderSDK, "test:v1")
			if run := r.Header.Get(sdk.HeaderRunID); run != "" {
				if err := send(env, "kim@plant.test", harness.DefaultRunHeader+": "+run+"\r\n"); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
				}
				_, _ = io.WriteString(w, `{"sent":true}`)
				return
			}
			body := fmt.Sprintf(`{"run_id":%q,"event":{"name":"inngest/http.request","data":{"domain":%q,"method":"POST","path":"/orders"}},"steps":[
				{"op":"StepRun","id":%q,"displayName":"charge","data":"charged","userland":{"id":"charge"}},
				{"op":"Sleep","id":%q,"name":"24h","displayName":"nap","userland":{"id":"nap"}}]}`, ulid.Make(), env.AppURL, sdk.StepHash("charge"), sdk.StepHash("nap"))
			resp, err := http.Post(env.InngestURL+"/v1/checkpoint", "application/json", strings.NewReader(body))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			_, _ = io.Copy(w, resp.Body)
		})
		return mux, nil
	}
}

// A run that begins with an HTTP request is judged as one of the event that the server makes of the request.
func TestWorkbench_JudgesRunOfDurableEndpoint(t *testing.T) {
	t.Parallel()
	w := bench(t, withEndpoint())
	resp, err := http.Post(w.Env().AppURL+"/orders", "application/json", strings.NewReader(`{}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct{ Data sdk.NewRunAnswer }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	run, ok := w.Sim().FindRun(answer.Data.RunID)
	require.True(t, ok)

	expected := harness.Expectation{
		Runs: []harness.RunExpectation{{
			Function: "POST /orders", Status: harness.StatusCompleted, Output: json.RawMessage(`{"sent":true}`),
			Steps: []harness.StepExpectation{{ID: "charge"}, {ID: "nap"}},
		}},
		Mail: []harness.MailExpectation{{To: "kim@plant.test"}},
	}
	v := judged(t, w, run.Event.EventID, expected)
	require.NoError(t, v.Err(), v.String())
	expected.NoOtherRuns = true
	denied := judged(t, w, run.Event.EventID, expected)
	require.Equal(t, harness.CannotBeJudged, denied.Outcome, "%s", denied)
	require.Contains(t, denied.String(), "is one of a durable endpoint: what it sent outside its steps")
	wrong := judged(t, w, run.Event.EventID, harness.Expectation{
		Runs: []harness.RunExpectation{{Function: "POST /orders", Output: json.RawMessage(`{"sent":false}`)}},
	})
	require.ErrorContains(t, wrong.Err(), "POST /orders")
}
