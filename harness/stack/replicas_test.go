package stack_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestReplicas_AppWorksWhileOneInstanceDoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	st := startOnSim(t, stack.Options{Replicas: 2, Dir: dir})
	shop := shopProgram()
	heard := map[string]bool{} // the app's lines come from one goroutine at a time
	shop.OnLine = func(line string) { heard[line[:4]] = true }
	require.NoError(t, st.RunCommand(t.Context(), shop))
	works := func() {
		t.Helper()
		ids, err := st.Send(t.Context(), harness.Event{Name: "shop/ordered", Data: map[string]any{"to": "kim@shop.test"}})
		require.NoError(t, err)
		v, err := st.Judge(t.Context(), ids[0], harness.Expectation{
			Runs: []harness.RunExpectation{{Function: "confirm", Status: harness.StatusCompleted}},
		}, stack.JudgeOptions{})
		require.NoError(t, err)
		require.NoError(t, v.Err())
	}
	works()
	require.EqualError(t, st.Kill(t.Context(), harness.Replica(3)), "the app has no instance 3: see the option Replicas")
	require.ErrorContains(t, st.Kill(t.Context(), "app-02"), `runs no service "app-02"`)

	require.NoError(t, st.Kill(t.Context(), harness.Replica(1)))
	works()
	require.NoError(t, st.Start(t.Context(), harness.Replica(1)))
	require.NoError(t, st.Start(t.Context(), harness.Replica(1)), "it is running")
	require.NoError(t, st.Stop(t.Context(), harness.Replica(2)))
	works()
	select {
	case <-st.App().Done():
		require.Fail(t, "one instance is left")
	default:
	}
	require.NoError(t, st.Kill(t.Context(), harness.Replica(1)))
	<-st.App().Done()
	require.NoError(t, st.App().Err(), "its end was asked for")
	require.ErrorContains(t, st.Start(t.Context(), harness.Replica(1)), "all instances of the app have ended: start the app")

	require.NoError(t, st.Start(t.Context(), harness.ServiceApp))
	works()
	require.NoError(t, st.App().Reload(t.Context()))
	require.NoError(t, st.Pause(t.Context(), harness.Replica(2)))
	require.NoError(t, st.Resume(t.Context(), harness.Replica(2)))
	works()
	require.True(t, strings.HasPrefix(st.Tail(harness.ServiceApp)[0], "[1] the key is"), "%q", st.Tail(harness.ServiceApp))
	require.True(t, strings.HasPrefix(st.Tail(harness.Replica(2))[0], "the key is"))
	require.NoError(t, st.Close(t.Context()))
	require.Equal(t, map[string]bool{"[1] ": true, "[2] ": true}, heard)
	for _, name := range []string{"app-1.log", "app-2.log"} {
		_, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
	}
}

func TestReplicas_ReportTheInstanceThatEndsByItself(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{Replicas: 2})
	require.NoError(t, st.RunCommand(t.Context(), shopProgram()))
	env, _ := st.Env()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, env.AppURL+"/exit", http.NoBody)
	require.NoError(t, err)
	if res, err := http.DefaultClient.Do(req); err == nil { // what a proxy says of it
		res.Body.Close()
	}
	<-st.App().Done()
	require.ErrorContains(t, st.App().Err(), "exited with status 5")
}

func TestReplicas_ReportTheInstanceThatDoesNotStart(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{Replicas: 2})
	err := st.RunCommand(t.Context(), shopProgram("SHOP_FAIL=1"))
	require.ErrorContains(t, err, "start the app: instance ")
	require.ErrorContains(t, err, "app exited with status 3 after")
	require.ErrorIs(t, st.Kill(t.Context(), harness.Replica(1)), stack.ErrNoApp)
}

func TestStart_RefusesReplicasWithoutABalancer(t *testing.T) {
	t.Parallel()
	_, err := stack.Start(t.Context(), nil, stack.Options{Replicas: 2, WithoutTaps: true})
	require.EqualError(t, err, "2 replicas: at least one, and only one without taps, which balance the load")
}
