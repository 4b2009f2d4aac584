package follow

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// The end of a run may report steps: the server shows the end, and saves them, at the same time.
func TestReadRun_IsNotOverBeforeStepsOfItsLastAnswerAreSaved(t *testing.T) {
	t.Parallel()
	saved := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/trace"):
			fmt.Fprintf(w, `{"data":{"rootSpan":{"name":"Run","status":"COMPLETED","children":[%s]}}}`, saved)
		case r.URL.Path == "/v0/gql":
			fmt.Fprint(w, `{"data":{"run":{"id":"01R","status":"COMPLETED","output":"\"done\""}}}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	api := inngestapi.New(server.URL, inngestapi.Options{})
	t.Cleanup(func() { _ = api.Close(context.Background()) })
	f := newForgetful(t)
	f.src.API = api
	f.root, f.events = &harness.TraceEvent{}, []*tracedEvent{{}}
	f.runs = []*tracedRun{{TraceRun: harness.TraceRun{ID: "01R", Function: "f"}}}
	answered := func(at time.Time) {
		f.src.Ledger.add(tap.Exchange{ID: 1, Seq: 1, Began: at, Ended: at, HTTP: &tap.HTTP{Status: 206}, Call: &tap.Call{
			RunID: "01R", Status: 206, Ops: []tap.Op{{Op: sdk.OpStepRun, ID: "1111"}, {Op: sdk.OpRunComplete, ID: "2222"}},
		}})
	}
	look := func() *tracedRun {
		require.NoError(t, (&look{Follower: f, due: true}).readRun(t.Context(), f.runs[0]))
		return f.runs[0]
	}
	answered(time.Now())
	require.False(t, look().over)
	require.Contains(t, f.unquiet(), "is COMPLETED: the server has yet to save a step that the app reported at the end")
	saved = `{"name":"s","status":"FAILED","stepId":"1111","stepOp":"RUN"}`
	require.False(t, look().over, "an earlier attempt of the step has failed")
	saved += `,{"name":"s","status":"COMPLETED","stepId":"1111","stepOp":"RUN"}`
	require.True(t, look().over)
	require.Empty(t, f.unquiet())

	saved = ""
	answered(time.Now().Add(-endingTime))
	require.True(t, look().over, "it is not saved at all")

	now := time.Now() // a repeated call of the function leaves out the step
	f.src.Ledger.add(tap.Exchange{ID: 2, Seq: 2, Began: now, Ended: now, HTTP: &tap.HTTP{Status: 200}, Call: &tap.Call{RunID: "01R", Status: 200}})
	require.True(t, look().over, "the last answer has no step")
}

func TestFindRuns_BatchIsRunOfEachOfItsEvents(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(body), "01ALONE"):
			fmt.Fprint(w, `{"data":{"eventV2":{"runs":[]}}}`)
		case strings.Contains(string(body), "eventV2"):
			fmt.Fprint(w, `{"data":{"eventV2":{"runs":[{"id":"01R"}]}}}`)
		default:
			fmt.Fprint(w, `{"data":{"run":{"id":"01R","status":"RUNNING","function":{"slug":"a-bat"},"app":{"externalID":"a"}}}}`)
		}
	}))
	t.Cleanup(server.Close)
	f := newForgetful(t)
	f.src.API = inngestapi.New(server.URL, inngestapi.Options{})
	t.Cleanup(func() { _ = f.src.API.Close(context.Background()) })
	for _, id := range []string{"01ROOT", "01SENT", "01ALONE"} {
		f.events = append(f.events, &tracedEvent{ReceivedEvent: inngestapi.ReceivedEvent{EventID: id},
			subscribed: []harness.TraceFunction{{ID: "bat", App: "a"}}})
	}
	l := &look{Follower: f}
	for _, i := range []int{1, 0, 2, 1} { // the server may show the run for any of its events first
		require.NoError(t, l.findRuns(t.Context(), f.events[i]))
	}
	require.Len(t, f.runs, 1)
	require.Equal(t, "01ROOT", f.runs[0].EventID)
	for i, want := range []bool{false, false, true} {
		_, waiting := f.unstarted(f.events[i])
		require.Equal(t, want, waiting, f.events[i].EventID)
	}
}
