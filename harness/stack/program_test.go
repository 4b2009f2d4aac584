package stack_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestRedactor_RemovesSecretsThatAppPrints(t *testing.T) {
	t.Parallel()
	const key, password = "k3y-of-the-shop", "pa55-of-the-db"
	dir := t.TempDir()
	st := startPlain(t, stack.Options{Dir: dir, AppEnv: []string{"SHOP_API_KEY=" + key}})
	var heard []string
	shop := shopProgram("SHOP_DB=mongodb://kim:" + password + "@db.test/shop")
	shop.OnLine = func(line string) { heard = append(heard, line) }
	require.NoError(t, st.RunCommand(t.Context(), shop))

	ids, err := st.Send(t.Context(), harness.Event{Name: "shop/blabbed", Data: map[string]any{"to": "kim@shop.test", "key": key}})
	require.NoError(t, err)
	v, err := st.Judge(t.Context(), ids[0], harness.Expectation{
		Runs: []harness.RunExpectation{{Function: "blab", Status: harness.StatusCompleted, Steps: []harness.StepExpectation{
			{ID: "tell", Output: json.RawMessage(`"` + key + `"`)}, // compared with what it is
		}}},
		Mail: []harness.MailExpectation{{To: "kim@shop.test", Text: harness.Contains("Your key is lost.")}},
	}, stack.JudgeOptions{})
	require.NoError(t, err)
	require.Equal(t, harness.Broken, v.Outcome)
	require.Contains(t, v.String(), "- Your key is lost.\n          + Your key is ***.", "half a secret is one too")
	require.Contains(t, v.Why, "step write FAILED: attempt 1: refused with ***", "%s", v)
	require.Equal(t, "Your key is ***.", strings.TrimSpace(v.Trace.Mail[0].Text))
	require.Equal(t, []string{"it contains a secret: its source is left out"}, v.Trace.Mail[0].Problems)
	require.Contains(t, v.String(), "the key is *** and the database mongodb://***@db.test/shop")
	require.Contains(t, v.String(), "AUTH PLAIN ***")

	asJSON, err := json.Marshal(v)
	require.NoError(t, err)
	trace, err := st.Trace(t.Context(), ids[0])
	require.NoError(t, err)
	traceJSON, err := json.Marshal(trace)
	require.NoError(t, err)
	require.NoError(t, st.Close(t.Context())) // all is written now
	log, err := os.ReadFile(filepath.Join(dir, "app.log"))
	require.NoError(t, err)
	for what, text := range map[string]string{
		"the verdict": v.String() + v.Err().Error(), "its JSON": string(asJSON), "a trace": string(traceJSON), "the log": string(log),
		"the lines": strings.Join(heard, "\n"), "the tail": strings.Join(st.Tail(harness.ServiceApp), "\n"),
	} {
		for _, secret := range []string{key, password, "AGtpbQBzZWNyZXQ="} {
			require.NotContains(t, text, secret, what)
		}
	}
	require.Contains(t, string(log), "the key is ***")
	require.Equal(t, "a word with ***", st.Redactor().Text("a word with "+key))
}

func TestRunCommand_ReportsExitBeforeReady(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{})
	err := st.RunCommand(t.Context(), shopProgram("SHOP_FAIL=1", "SHOP_API_KEY=correct-horse"))
	var exit *stack.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.Code)
	require.Equal(t, []string{"the key is *** and the database ", "AUTH PLAIN ***", "it cannot start"}, exit.Tail)
	require.ErrorContains(t, err, "app exited with status 3 after")
	require.ErrorContains(t, err, "it cannot start")
	require.NotContains(t, err.Error(), "correct-horse")
}

func TestRunCommand_ReportsExitDuringSync(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{})
	err := st.RunCommand(t.Context(), shopProgram("SHOP_DIES=1"))
	var exit *stack.ExitError
	require.ErrorAs(t, err, &exit)
	require.ErrorContains(t, err, "app exited with status 4 after")
	require.ErrorContains(t, err, "that was too much")
	require.ErrorContains(t, err, "sync: the app at ")
}

func TestRunCommand_PrefersAppEnv(t *testing.T) {
	t.Parallel()
	st := startOnSim(t, stack.Options{AppEnv: []string{"SHOP_DB=the stack's"}})
	lines := make(chan string, 100)
	shop := shopProgram("SHOP_DB=the command's")
	shop.OnLine = func(line string) { lines <- line }
	require.NoError(t, st.RunCommand(t.Context(), shop))
	require.Equal(t, "the key is  and the database the stack's", <-lines)
}

func TestRunCommand_ReportsThatTheAppDoesNotConnect(t *testing.T) {
	t.Parallel()
	st := startPlain(t, stack.Options{Connect: true})
	shop := shopProgram()
	shop.StartTimeout = 3 * time.Second
	err := st.RunCommand(t.Context(), shop)
	require.ErrorContains(t, err, "has been running for 3s without connecting to the Inngest server")
	require.ErrorContains(t, err, "lists 0 of 1 connection of the app: does it connect (INNGEST_CONNECT is 1)")
}
