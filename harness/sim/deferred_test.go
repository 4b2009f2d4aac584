package sim_test

import (
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
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// scripted is an app without an SDK: its function "f" answers its calls with these opcodes, one after the other, and then returns
// what it is told of deferred functions. Its function "child" starts when it was deferred, and returns its event's n.
type scripted struct {
	answers []string
	calls   []map[string]any
}

func (a *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Inngest-Sdk", "test:v0.0.1")
	w.Header().Set("X-Inngest-Req-Version", "2")
	if r.Method == http.MethodPut {
		function := func(id, trigger string) string {
			return fmt.Sprintf(`{"id":"a-%s","name":"%[1]s","triggers":[%s],"steps":{"step":{"runtime":{"url":"http://a.invalid/x?fnId=a-%[1]s"}}}}`,
				id, trigger)
		}
		w.Header().Set("X-Inngest-Sync-Kind", "in_band")
		_, _ = fmt.Fprintf(w, `{"app_id":"a","url":"http://a.invalid/x","functions":[%s,%s]}`, function("f", `{"event":"go"}`),
			function("child", `{"event":"inngest/deferred.schedule","expression":"event.data._inngest.fn_slug == \"a-child\""}`))
		return
	}
	var call map[string]any
	_ = json.NewDecoder(r.Body).Decode(&call) // of what sim sends
	if r.URL.Query().Get("fnId") == "a-child" {
		_ = json.NewEncoder(w).Encode(call["event"].(map[string]any)["data"].(map[string]any)["n"])
		return
	}
	a.calls = append(a.calls, call)
	if n := len(a.calls); n <= len(a.answers) {
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, a.answers[n-1])
		return
	}
	_ = json.NewEncoder(w).Encode(call["defers"])
}

// play has the app do what it is told for one event, and returns the run of "f" and all others.
func (a *scripted) play(t *testing.T, s *sim.Sim) (f *sim.Run, others []*sim.Run) {
	t.Helper()
	require.NoError(t, s.RegisterHandler(t.Context(), a))
	id, err := s.Send(t.Context(), harness.Event{Name: "go"})
	require.NoError(t, err)
	require.NoError(t, s.Run(t.Context()))
	require.Len(t, s.RunsOf(id), 1)
	for _, r := range s.Runs() {
		if r.FunctionID != "a-f" {
			others = append(others, r)
		}
	}
	return s.RunsOf(id)[0], others
}

func newSim(t *testing.T, o sim.Options) *sim.Sim {
	t.Helper()
	s := sim.New(o)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return s
}

// deferred is an opcode that defers "child".
func deferred(id, input string) string {
	return fmt.Sprintf(`{"op":"DeferAdd","id":"%s","userland":{"id":"later"},"opts":{"fn_slug":"a-child","input":%s}}`, id, input)
}

const host = `{"op":"StepRun","id":"aa","name":"a","data":1}`

func TestSim_DefersFunction(t *testing.T) {
	t.Parallel()
	a := &scripted{answers: []string{"[" + host + "," + deferred("dd", `{"n":7}`) + "]"}}
	run, others := a.play(t, newSim(t, sim.Options{}))
	require.JSONEq(t, `{"dd":{"abortable":true}}`, string(run.Output), "the app is told what it has deferred")
	require.Equal(t, false, a.calls[1]["ctx"].(map[string]any)["disable_immediate_execution"], "it is no parallel plan")
	require.Len(t, others, 1)
	require.JSONEq(t, "7", string(others[0].Output))
	require.Equal(t, []sim.Defer{{Hash: "dd", ID: "later", Function: "a-child", Status: "SCHEDULED", RunID: others[0].ID}}, run.Defers)
	require.Equal(t, run.ID, others[0].Event.DeferredBy.RunID)
	require.Equal(t, "a-f", others[0].Event.DeferredBy.Function)
	require.Len(t, run.Steps, 1, "what is deferred is no step")
}

func TestSim_DoesNotStartWhatIsAborted(t *testing.T) {
	t.Parallel()
	a := &scripted{answers: []string{"[" + host + "," + deferred("dd", `{"n":7}`) + "]",
		`[{"op":"StepRun","id":"bb","name":"b","data":1},{"op":"DeferAbort","id":"ee","opts":{"target_hashed_id":"dd"}}]`}}
	run, others := a.play(t, newSim(t, sim.Options{}))
	require.JSONEq(t, `{"dd":{"abortable":false}}`, string(run.Output))
	require.Empty(t, others)
	require.EqualValues(t, "ABORTED", run.Defers[0].Status)
}

func TestSim_RejectsDefers(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 21 {
		many = append(many, deferred(fmt.Sprintf("d%d", i), `{"n":1}`))
	}
	big := strings.Repeat("x", 3<<20)
	for name, test := range map[string]struct {
		ops     []string
		started int
		known   int
	}{
		"no object":   {[]string{deferred("dd", `[7]`)}, 0, 1},
		"no function": {[]string{`{"op":"DeferAdd","id":"dd","opts":{"input":{}}}`}, 0, 1},
		"bad meta":    {[]string{`{"op":"DeferAdd","id":"dd","opts":{"fn_slug":"a-child","input":{},"meta":[1]}}`}, 0, 1},
		"too many":    {many, 20, 20},
		"too large":   {[]string{deferred("d1", `{"n":"`+big+`"}`), deferred("d2", `{"n":"`+big+`"}`)}, 1, 2},
		"twice":       {[]string{deferred("dd", `{"n":1}`), deferred("dd", `{"n":2}`)}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &scripted{answers: []string{"[" + host + "," + strings.Join(test.ops, ",") + "]"}}
			run, others := a.play(t, newSim(t, sim.Options{}))
			require.Equal(t, harness.StatusCompleted, run.Status, "the run goes on")
			require.Len(t, others, test.started)
			require.Len(t, run.Defers, test.known)
		})
	}
}

func TestSim_NotesMetadata(t *testing.T) {
	t.Parallel()
	a := &scripted{answers: []string{`[{"op":"StepRun","id":"aa","name":"a","data":1,
		"opts":{"type":"step.ai.wrap","experimentName":"e","variant":"v","selectionStrategy":"random"},
		"metadata":[{"scope":"step","kind":"userland.notes","op":"merge","values":{"a":1}},{"scope":"run","kind":"userland.sum","op":"add","values":{"n":2}}]}]`,
		`[{"op":"StepRun","id":"bb","name":"b","data":1,"metadata":[{"scope":"run","kind":"userland.sum","op":"add","values":{"n":3}}]}]`}}
	s := newSim(t, sim.Options{})
	run, _ := a.play(t, s)
	ask := func(path, body string) int {
		rec := httptest.NewRecorder()
		s.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
		return rec.Code
	}
	at := "/v1/runs/" + run.ID + "/metadata"
	require.Equal(t, 200, ask(at, `{"target":{},"metadata":[{"kind":"userland.sum","op":"set","values":{"m":1}}]}`))
	require.Equal(t, 200, ask(at, `{"target":{"step_id":"a","step_index":1,"step_attempt":0},"metadata":[{"kind":"userland.notes","op":"delete","values":{}}]}`))
	require.Equal(t, 200, ask("/api/v2/runs/"+run.ID+"/scores", `[{"name":"good","value":true}]`))
	require.Equal(t, 413, ask(at, `{"target":{},"metadata":[{"kind":"userland.big","values":{"a":"`+strings.Repeat("x", 65<<10)+`"}}]}`))
	run, _ = s.FindRun(run.ID)
	var noted []string
	for _, m := range run.Metadata {
		values, err := json.Marshal(m.Values)
		require.NoError(t, err)
		noted = append(noted, fmt.Sprintf("%s %.4s %d %s %s", m.Scope, m.Step, m.Attempt, m.Kind, values))
	}
	require.Equal(t, []string{
		`step aa 0 userland.notes {"a":1}`,
		`run  0 userland.sum {"m":1}`,
		`step aa 0 inngest.experiment {"name":"e","selection_strategy":"random","variant":"v"}`,
		`step de89 1 userland.notes {}`,
		`run  0 inngest.score {"good":{"value":true}}`,
	}, noted)
	full := 0
	for range 20 {
		if ask(at, `{"target":{},"metadata":[{"kind":"userland.big","values":{"a":"`+strings.Repeat("x", 60<<10)+`"}}]}`) == 413 {
			full++
		}
	}
	require.Positive(t, full, "a run has a megabyte")
}

func TestSim_FollowsRedirects(t *testing.T) {
	t.Parallel()
	var asked []string
	app := answering(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		if len(asked) < 30 {
			http.Redirect(w, r, fmt.Sprintf("/moved/%d", len(asked)), http.StatusTemporaryRedirect)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprint(w, len(body) > 0 && r.URL.Query().Get("stepId") == "step" && r.Header.Get("X-Run-Id") != "")
	})
	run := goOnce(t, sim.Options{}, app)
	require.Equal(t, harness.StatusCompleted, run.Status, run.Error)
	require.JSONEq(t, "true", string(run.Output), "body, query and headers are kept")
	require.Equal(t, "POST /moved/29", asked[29])
}
