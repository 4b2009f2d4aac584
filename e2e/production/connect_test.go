package production

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// load is how many requests are created while instances end. Inngest gives what a killed instance was executing to another
// one when two minutes and the pause of a retry have passed: that is the time that the test may take.
const load = 40

// Of three instances that connect, one is killed (in production) and one stopped while they work; then the server is killed,
// and comes back.
// Every request that was accepted arrives, with one Message-ID.
func TestConnect_SurvivesTheEndOfInstancesAndOfTheServer(t *testing.T) {
	for _, mode := range []string{"development", "production"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
			defer cancel()
			st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(ctx))) })
			program := appProgram(t)
			env, restart := connectEnv(ctx, t, st, program, mode)
			store, err := testenv.Seed(ctx, value(env, "MONGODB_URI"), fixtures.World())
			require.NoError(t, err)
			require.NoError(t, store.Close(ctx))
			var instances []*instance
			for _, port := range freePorts(t, 3) {
				instances = append(instances, startInstance(t, program, append(env, "HOST=127.0.0.1", "PORT="+port), port))
			}
			for _, i := range instances {
				i.becomes(ctx, t, http.StatusOK, "ready")
				for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodGet} {
					r, err := http.NewRequestWithContext(ctx, method, i.url+"/api/inngest?fnId="+function+"&stepId=step", http.NoBody)
					require.NoError(t, err)
					status, body := do(t, r)
					require.Equal(t, http.StatusNotFound, status, "%s /api/inngest: %s", method, body)
				}
			}

			killed, stopped, left := instances[0], instances[1], instances[2]
			var requests []app.Request
			for n := range load {
				requests = append(requests, create(ctx, t, left.url, fixtures.Requests()[0]))
				switch n {
				case load / 3: // once is enough: see load
					if mode == "production" {
						require.NoError(t, killed.Process.Kill())
					}
				case 2 * load / 3:
					require.NoError(t, stopped.Process.Signal(syscall.SIGTERM))
				}
			}
			if mode == "production" {
				killed.exits(ctx, t)
			}
			stopped.exits(ctx, t)
			require.Zero(t, stopped.ProcessState.ExitCode(), "%s", &stopped.log)
			begin := time.Now()
			arrived(ctx, t, st, requests)
			t.Logf("%s: settled %v after the load", mode, time.Since(begin).Round(time.Millisecond))

			restart(func() { left.becomes(ctx, t, http.StatusServiceUnavailable, "not connected") })
			begin = time.Now()
			left.becomes(ctx, t, http.StatusOK, "ready")
			t.Logf("%s: connected again %v after the server", mode, time.Since(begin).Round(time.Millisecond))
			arrived(ctx, t, st, []app.Request{create(ctx, t, left.url, fixtures.Requests()[0])})
		})
	}
}

// connectEnv returns the variables of instances that connect to a server: to the stack's, for development, or to one of
// production. Restart kills the server, calls meanwhile, and starts it again.
func connectEnv(ctx context.Context, t *testing.T, st *stack.Stack, program, mode string) (env []string, restart func(meanwhile func())) {
	database, err := url.Parse(st.Endpoints().Mongo)
	require.NoError(t, err)
	database.Path = "/connect"
	host, smtp, _ := strings.Cut(st.Endpoints().SMTP, ":")
	env = []string{
		"INNGEST_CONNECT=1", "MONGODB_URI=" + database.String(), "MAIL_HOST=" + host, "MAIL_PORT=" + smtp,
		"MAIL_FROM=maintenance@plant.example", "APP_URL=https://plant.example", "API_TOKEN=" + token, "SHUTDOWN_TIMEOUT=30s", "DRAIN_DELAY=0s",
	}
	if mode == "development" {
		return append(env, "INNGEST_DEV="+st.Endpoints().Inngest), func(meanwhile func()) {
			require.NoError(t, st.Kill(ctx, harness.ServiceInngest))
			meanwhile()
			require.NoError(t, st.Start(ctx, harness.ServiceInngest))
		}
	}
	server := startServer(t)
	env = append(env, "INNGEST_BASE_URL="+server.url, "INNGEST_EVENT_KEY="+eventKey, "INNGEST_SIGNING_KEY="+signingKey)
	sync := exec.CommandContext(ctx, program, "sync")
	sync.Env = env
	said, err := sync.CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Contains(t, string(said), "nothing to do: INNGEST_CONNECT is set")
	return env, func(meanwhile func()) {
		server.kill()
		meanwhile()
		server.start()
		eventually(ctx, t, func() error { return answers(ctx, server.url+"/health", http.StatusOK, "") })
	}
}

func value(env []string, name string) string {
	for _, v := range env {
		if n, value, _ := strings.Cut(v, "="); n == name {
			return value
		}
	}
	return ""
}

func appProgram(t testing.TB) string {
	program, err := testenv.Program(t.TempDir())
	require.NoError(t, err)
	return program
}

// instance is the app as a program.
type instance struct {
	*exec.Cmd
	url    string
	exited chan struct{}
	log    bytes.Buffer // after exited
}

func startInstance(t *testing.T, program string, env []string, port string) *instance {
	i := &instance{Cmd: exec.Command(program), url: "http://127.0.0.1:" + port, exited: make(chan struct{})}
	i.Dir, i.Env = t.TempDir(), append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	i.Stdout, i.Stderr = &i.log, &i.log
	require.NoError(t, i.Start())
	go func() { defer close(i.exited); _ = i.Wait() }()
	t.Cleanup(func() {
		_ = i.Process.Kill()
		<-i.exited
		if t.Failed() {
			t.Logf("the log of %s:\n%s", i.url, &i.log)
		}
	})
	return i
}

// becomes waits until /readyz answers so.
func (i *instance) becomes(ctx context.Context, t *testing.T, status int, text string) {
	t.Helper()
	eventually(ctx, t, func() error { return answers(ctx, i.url+"/readyz", status, text) })
}

// exits waits until the instance has ended.
func (i *instance) exits(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-i.exited:
	case <-ctx.Done():
		require.FailNow(t, "the instance is still running", "%s: %v", i.url, context.Cause(ctx)) // its log is printed when it is killed
	}
}

// arrived waits until every request has an email, and requires its copies to have the same Message-ID.
func arrived(ctx context.Context, t *testing.T, st *stack.Stack, requests []app.Request) {
	t.Helper()
	ids := map[string]map[string]int{} // request → Message-ID → copies
	eventually(ctx, t, func() error {
		all, err := st.Inbox().List(ctx)
		if err != nil {
			return err
		}
		clear(ids)
		for _, m := range all {
			request := m.Header("X-Maintenance-Request-Id")
			if ids[request] == nil {
				ids[request] = map[string]int{}
			}
			ids[request][m.MessageID]++
		}
		missing := 0
		for _, r := range requests {
			if len(ids[r.ID]) == 0 {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %d requests have no email", missing, len(requests))
		}
		return nil
	})
	for _, r := range requests {
		require.Len(t, ids[r.ID], 1, "the Message-IDs of request %s: %v", r.ID, ids[r.ID])
	}
}
