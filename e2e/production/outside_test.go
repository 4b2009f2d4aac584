package production

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app/service"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// commands runs the harness command with the variables of one who looks from outside.
type commands struct {
	t       *testing.T
	program string
	env     []string
}

func newCommands(t *testing.T, env ...string) commands {
	return commands{t, harnessProgram(t), append(env, "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"), "HARNESS_ALLOW_REMOTE=")}
}

func (c commands) with(env ...string) commands {
	c.env = append(append([]string{}, c.env...), env...)
	return c
}

// run returns what a command prints, and its exit status. in is its standard input.
func (c commands) run(in string, args ...string) (out string, status int) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.program, args...)
	cmd.Env, cmd.Dir, cmd.Stdin = c.env, c.t.TempDir(), bytes.NewBufferString(in)
	said, err := cmd.CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		require.NoError(c.t, err)
	}
	require.NotContains(c.t, string(said), signingKey)
	return string(said), cmd.ProcessState.ExitCode()
}

// From outside the commands need the server's URL and its keys: also without GraphQL and without a database.
func TestProduction_FromOutside(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(ctx))) })
	inngest := startServer(t, "--no-ui")
	port := freePorts(t, 1)[0]
	environment(t, st.Endpoints(), inngest, port)
	appURL := "http://127.0.0.1:" + port
	store, err := testenv.Seed(ctx, os.Getenv("MONGODB_URI"), fixtures.World())
	require.NoError(t, err)
	require.NoError(t, store.Close(ctx))
	ctx, stop := serve(ctx, t, inngest.keys)
	defer stop()
	eventually(ctx, t, func() error { return answers(ctx, appURL+"/readyz", 503, "not registered") })

	strangers := newCommands(t, "HARNESS_INNGEST_URL="+inngest.url)
	c := strangers.with("INNGEST_EVENT_KEY="+inngest.keys.Event, "INNGEST_SIGNING_KEY="+inngest.keys.Signing)

	out, status := strangers.run("", "runs")
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "it needs the signing key: set INNGEST_SIGNING_KEY")
	out, _ = strangers.with("INNGEST_SIGNING_KEY=00").run("", "runs")
	require.Contains(t, out, "the server does not take the signing key in INNGEST_SIGNING_KEY")
	out, _ = strangers.run(`{"name":"a"}`, "send", "-")
	require.Contains(t, out, "the server does not take this event key: set INNGEST_EVENT_KEY")
	out, status = c.run("", "mail", "ls")
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "no mailbox is named: set HARNESS_MAIL_URL")

	out, status = c.run("", "probe", appURL+"/api/inngest")
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "✗ the app is registered: the server does not know odoo-maintenance")
	var said bytes.Buffer
	require.Zero(t, service.Command(ctx, []string{"sync"}, &said, &said), "%s", &said)
	out, _ = c.run("", "probe", appURL+"/api/inngest")
	require.Contains(t, out, "✓ the app is registered: odoo-maintenance at http://localhost:"+port+"/api/inngest with 1 "+
		"functions: "+function)
	require.Contains(t, out, "✓ the app has an address of its own")
	require.Contains(t, out, "✓ an unsigned PUT is refused")
	require.Contains(t, out, "✓ an old signature is refused")
	require.Contains(t, out, "✓ the server's /v0/gql is closed")
	require.Contains(t, out, "✗ the server's /mcp is closed")
	require.Contains(t, out, "✗ the server's /debug/pprof/cmdline is closed: without a key it answers 200 OK, and the "+
		"answer has the signing key in it")

	// By the app's API, as docs/production.md shows it.
	f := fixtures.Requests()[0]
	smoke := `{"request": {"url": "` + appURL + `/api/requests", "headers": {"Authorization": "Bearer ${env.API_TOKEN}"},
             "body": ` + string(f.Body) + `},
 "event": {"name": "maintenance/request.created", "data": {"requestId": "${response.id}"}},
 "expectation": {"runs": [{"function": "send-request-notification", "status": "COMPLETED",
                           "steps": [{"id": "send-email", "attempts": 1}]}], "noOtherRuns": true}}`
	c = c.with("API_TOKEN=" + token)
	out, status = c.run(smoke, "smoke", "-")
	require.Zero(t, status, out)
	require.Contains(t, out, "holds: 1 run, 0 emails")
	withMail := c.with("HARNESS_MAIL_URL=" + st.Endpoints().MailHog)
	mail, err := st.Inbox().List(ctx)
	require.NoError(t, err)
	require.Len(t, mail, 1)
	out, status = withMail.run(`{"event": {"name": "maintenance/request.created", "data": {"requestId": "none"}},
 "expectation": {"runs": [{"function": "send-request-notification", "status": "FAILED"}],
                 "mail": [{"to": "`+mail[0].Envelope.To[0]+`", "absent": true}]}}`, "smoke", "-")
	require.Zero(t, status, out)

	out, status = c.run("", "runs", "--json")
	require.Zero(t, status, out)
	var events []struct {
		Runs []struct{ Status harness.Status }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &events), out)
	require.Len(t, events, 2)
	require.Equal(t, harness.StatusFailed, events[0].Runs[0].Status)
	require.Equal(t, harness.StatusCompleted, events[1].Runs[0].Status)
}
