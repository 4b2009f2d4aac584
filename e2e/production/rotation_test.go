package production

import (
	"context"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// The signing key and the event key are rotated by the steps of docs/production.md. After each step a request leads to an email.
func TestRotation_OfKeysInterruptsNothing(t *testing.T) {
	const (
		newEventKey   = "new-event-key-of-this-test"
		newSigningKey = "fedcba9876543210fedcba9876543210"
	)
	for name, connect := range map[string]string{"by HTTP": "", "by Connect": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(ctx))) })
			server, program, port := startServer(t), appProgram(t), freePorts(t, 1)[0]
			database, err := url.Parse(st.Endpoints().Mongo)
			require.NoError(t, err)
			database.Path = "/rotation"
			store, err := testenv.Seed(ctx, database.String(), fixtures.World())
			require.NoError(t, err)
			require.NoError(t, store.Close(ctx))
			host, smtp, _ := strings.Cut(st.Endpoints().SMTP, ":")
			env := []string{
				"INNGEST_BASE_URL=" + server.url, "INNGEST_CONNECT=" + connect, "SERVE_URL=http://127.0.0.1:" + port, "HOST=127.0.0.1", "PORT=" + port,
				"MONGODB_URI=" + database.String(), "MAIL_HOST=" + host, "MAIL_PORT=" + smtp, "MAIL_FROM=maintenance@plant.example",
				"APP_URL=https://plant.example", "API_TOKEN=" + token, "DRAIN_DELAY=0s", "CONFIRM_AFTER=5s",
			}
			sync := exec.CommandContext(ctx, program, "sync")
			sync.Env = append(slices.Clone(env), "INNGEST_SIGNING_KEY="+signingKey)
			said, err := sync.CombinedOutput()
			require.NoError(t, err, "%s", said)

			var running *instance
			withKeys := func(keys ...string) {
				t.Helper()
				if running != nil {
					require.NoError(t, running.Process.Signal(syscall.SIGTERM))
					running.exits(ctx, t)
				}
				running = startInstance(t, program, append(slices.Clone(env), keys...), port)
				running.becomes(ctx, t, http.StatusOK, "ready")
			}
			restart := func() {
				t.Helper()
				server.kill()
				if connect != "" {
					running.becomes(ctx, t, http.StatusServiceUnavailable, "not connected")
				}
				server.start()
				eventually(ctx, t, func() error { return answers(ctx, server.url+"/health", http.StatusOK, "") })
				running.becomes(ctx, t, http.StatusOK, "ready")
			}
			arrives := func(after string) {
				t.Helper()
				begin := time.Now()
				arrived(ctx, t, st, []app.Request{create(ctx, t, running.url, fixtures.Requests()[0])})
				t.Logf("%s: an email %v later", after, time.Since(begin).Round(time.Millisecond))
			}

			withKeys("INNGEST_EVENT_KEY="+eventKey, "INNGEST_SIGNING_KEY="+signingKey)
			arrives("the old keys")
			withKeys("INNGEST_EVENT_KEY="+eventKey, "INNGEST_SIGNING_KEY="+newSigningKey, "INNGEST_SIGNING_KEY_FALLBACK="+signingKey)
			arrives("the app has the new signing key, and the old one as fallback")
			server.keys.Signing = newSigningKey
			restart()
			arrives("the server has the new signing key")
			withKeys("INNGEST_EVENT_KEY="+eventKey, "INNGEST_SIGNING_KEY="+newSigningKey)
			arrives("the app has no fallback")

			server.also = newEventKey
			restart()
			arrives("the server has both event keys")
			withKeys("INNGEST_EVENT_KEY="+newEventKey, "INNGEST_SIGNING_KEY="+newSigningKey)
			arrives("the app has the new event key")
			server.keys.Event, server.also = newEventKey, ""
			restart()
			arrives("the server has the new event key only")
		})
	}
}
