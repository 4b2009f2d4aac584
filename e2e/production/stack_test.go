//go:build production

package production

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// start starts a stack with a self-hosted Inngest server on Redis and PostgreSQL, and no app.
func start(ctx context.Context, t *testing.T) (*stack.Stack, *server) {
	t.Helper()
	st := startStack(ctx, t, stack.Options{})
	ends := st.Endpoints()
	return st, &server{url: ends.Inngest, keys: ends.Keys}
}

func startStack(ctx context.Context, t testing.TB, o stack.Options) *stack.Stack {
	t.Helper()
	o.Production = true
	st, err := stack.Start(ctx, local.New(local.Options{}), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(ctx))) })
	return st
}

// An env is the app as a program on a stack in production mode.
type env struct {
	*stack.Stack
	store app.Store
	url   string
}

// startApp starts a stack and replicas of the app. With connect the app connects to Inngest, otherwise Inngest calls it.
func startApp(ctx context.Context, t testing.TB, replicas int, connect bool, vars ...string) *env {
	t.Helper()
	vars = append([]string{"API_TOKEN=" + token, "API_RATE=0", "MAIL_FROM=Maintenance <maintenance@plant.example>", "LOG_LEVEL=warn"}, vars...)
	if connect {
		vars = append(vars, "INNGEST_CONNECT=1")
	}
	st := startStack(ctx, t, stack.Options{Replicas: replicas, Connect: connect, AppGrace: 10 * time.Second})
	require.NoError(t, st.RunCommand(ctx, stack.Command{Args: []string{appProgram(t)}, Env: vars}))
	settings, _ := st.Env()
	store, err := testenv.Seed(ctx, settings.MongoURI, fixtures.World())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.WithoutCancel(ctx))) })
	return &env{st, store, settings.AppURL}
}

// create posts a request until an instance accepts it, as a client does that does not know whether its call succeeded.
func (e *env) create(ctx context.Context, key string, f fixtures.Request) (r app.Request, err error) {
	for {
		if r, err = e.post(ctx, key, f); err == nil {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (e *env) post(ctx context.Context, key string, f fixtures.Request) (r app.Request, err error) {
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/api/requests", bytes.NewReader(f.Body))
	if err != nil {
		return r, err
	}
	call.Header.Set("Content-Type", "application/json")
	call.Header.Set("Authorization", "Bearer "+token)
	call.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(call)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = fmt.Errorf("the app answers %s: %s", resp.Status, body)
	}
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	return r, err
}

// A request leads to one email by HTTP and by Connect, also after Redis was killed, with which Inngest exits.
func TestProduction_VerdictHoldsOverAFaultOfRedis(t *testing.T) {
	for name, connect := range map[string]bool{"by HTTP": false, "by Connect": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			e := startApp(ctx, t, 2, connect, "CONFIRM_AFTER=5s")
			holds := func(f fixtures.Request) {
				t.Helper()
				request, err := e.create(ctx, "holds "+f.Name, f)
				require.NoError(t, err)
				technician, ok := fixtures.World().User(request.TechnicianID)
				require.True(t, ok)
				id, err := e.AwaitEvent(ctx, app.IdempotencyKey(request.ID, 1))
				require.NoError(t, err)
				v, err := e.Judge(ctx, id, harness.Expectation{
					Runs: []harness.RunExpectation{{Function: "send-request-notification", Status: harness.StatusCompleted}},
					Mail: []harness.MailExpectation{{
						To: technician.Email, Copies: 1, Headers: map[string]harness.Match{"Message-ID": harness.Equals(request.Notification.MessageID)},
					}},
					NoOtherRuns: true, NoOtherMail: true,
				}, stack.JudgeOptions{Timeout: time.Minute})
				require.NoError(t, err)
				require.NoError(t, v.Err())
			}
			holds(fixtures.Requests()[0])

			require.NoError(t, e.Kill(ctx, harness.ServiceRedis))
			eventually(ctx, t, func() error {
				ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
				defer cancel()
				if e.API().Ready(ctx) == nil {
					return errors.New("Inngest still works, without Redis")
				}
				return nil
			})
			request, err := e.create(ctx, "without Redis", fixtures.Requests()[1])
			require.NoError(t, err, "a request is accepted while Inngest is away")
			require.NoError(t, e.Start(ctx, harness.ServiceRedis))
			require.NoError(t, e.Start(ctx, harness.ServiceInngest))
			_, err = e.Inbox().Wait(ctx, testenv.EmailOf(request))
			require.NoError(t, err)
			holds(fixtures.Requests()[2])
		})
	}
}
