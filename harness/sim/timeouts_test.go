package sim_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// registering is an app that registers functions, each as JSON without its steps, and answers calls with a handler.
func registering(answer http.HandlerFunc, functions ...string) http.Handler {
	for i, f := range functions {
		id := `"f` + strconv.Itoa(i)
		functions[i] = `{"id":` + id + `","name":` + id + `","steps":{"step":{"runtime":{"url":"http://app.invalid/?fnId=f` + strconv.Itoa(i) + `"}}},` + f + `}`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Inngest-Sdk", "test:v1")
		if r.Method == http.MethodPut {
			w.Header().Set("X-Inngest-Sync-Kind", "in_band")
			_, _ = io.WriteString(w, `{"app_id":"raw","functions":[`+strings.Join(functions, ",")+`]}`)
			return
		}
		answer(w, r)
	})
}

func TestSim_RefusesInvalidTimeouts(t *testing.T) {
	t.Parallel()
	for which, config := range map[string]string{
		"start":  `{"start":"banana","finish":"1h"}`,
		"finish": `{"start":"1h","finish":"banana"}`,
	} {
		s := sim.New(sim.Options{})
		t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
		err := s.RegisterHandler(t.Context(), registering(nil, `"triggers":[{"event":"go"}],"timeouts":`+config))
		require.ErrorContains(t, err, `registering function "f0": `+which+` timeout is invalid: `)
	}
}

// TestSim_CancelsRunThatStartsTooLate keeps as many calls under way as a Sim has at once, so that a run waits for its start.
func TestSim_CancelsRunThatStartsTooLate(t *testing.T) {
	t.Parallel()
	const atOnce = 100
	began, release := make(chan string, atOnce+2), make(chan struct{})
	s := sim.New(sim.Options{})
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	require.NoError(t, s.RegisterHandler(t.Context(), registering(func(w http.ResponseWriter, r *http.Request) {
		began <- r.URL.Query().Get("fnId")
		<-release
		_, _ = io.WriteString(w, `1`)
	},
		`"triggers":[{"event":"fill"},{"event":"last"}]`,
		`"triggers":[{"event":"last"}],"timeouts":{"start":"1ms"}`,
		`"triggers":[{"event":"last"}],"timeouts":{"start":"1h"}`,
	)))
	s.RunInBackground(sim.WallClock)
	for range atOnce - 1 {
		_, err := s.Send(t.Context(), harness.Event{Name: "fill"})
		require.NoError(t, err)
	}
	for range atOnce - 1 {
		require.Equal(t, "f0", <-began)
	}
	id, err := s.Send(t.Context(), harness.Event{Name: "last"})
	require.NoError(t, err)
	require.Equal(t, "f0", <-began)
	queued := s.RunsOf(id)[1].Queued
	require.Eventually(t, func() bool { return s.Now().Sub(queued) > 2*time.Millisecond }, 30*time.Second, time.Millisecond)
	close(release)
	require.Equal(t, "f2", <-began)
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(s.RunsOf(id), func(r *sim.Run) bool { return !r.Status.Final() })
	}, 30*time.Second, time.Millisecond)

	runs := s.RunsOf(id)
	require.Equal(t, []harness.Status{harness.StatusCompleted, harness.StatusCancelled, harness.StatusCompleted}, []harness.Status{runs[0].Status, runs[1].Status, runs[2].Status})
	require.Zero(t, runs[1].Calls)
}
