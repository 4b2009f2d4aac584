package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// An app that only connects runs on a stack, which judges it as any other: as a program and in this process, on the server
// and on sim.
func TestConnect_OneRequestOneEmail(t *testing.T) {
	for name, backend := range map[string]harness.Backend{
		"local": local.New(local.Options{}), "sim": simstack.New(local.New(local.Options{}), simstack.Options{}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			st, err := stack.Start(ctx, backend, stack.Options{Connect: true, RetryInterval: time.Second})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, st.Close(context.WithoutCancel(ctx))) })
			if name == "sim" {
				require.NoError(t, st.RunHandler(ctx, testenv.App))
			} else {
				program, err := testenv.Program(t.TempDir())
				require.NoError(t, err)
				run := stack.Command{Args: []string{program}, Dir: t.TempDir(), Env: []string{"DRAIN_DELAY=0s"}}
				require.NoError(t, st.RunCommand(ctx, run))
			}
			env, _ := st.Env()
			store, err := testenv.Seed(ctx, env.MongoURI, fixtures.World())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close(context.WithoutCancel(ctx))) })

			judge := func(e harness.Expectation) *harness.Verdict {
				r, err := testenv.Create(ctx, env.AppURL, fixtures.Requests()[0])
				require.NoError(t, err)
				eventID, err := st.AwaitEvent(ctx, app.IdempotencyKey(r.ID, 1))
				require.NoError(t, err)
				e.Mail = append(e.Mail, harness.MailExpectation{To: technician(ctx, t, store, r), Copies: 1})
				v, err := st.Judge(ctx, eventID, e, stack.JudgeOptions{Timeout: time.Minute})
				require.NoError(t, err)
				return v
			}
			v := judge(harness.Expectation{Runs: []harness.RunExpectation{completed()}, NoOtherRuns: true, NoOtherMail: true})
			require.NoError(t, v.Err())
			evidence := strings.Join(v.Trace.Evidence, "\n")
			require.Contains(t, evidence, "its calls are not recorded")
			require.NotContains(t, evidence, "never called")

			v = judge(harness.Expectation{Mail: []harness.MailExpectation{{To: "nobody@plant.test"}}})
			require.Equal(t, harness.Broken, v.Outcome)
			require.Contains(t, v.String(), "nobody@plant.test")

			_, err = st.Taps().Inject(tap.Fault{At: tap.AtCall, Do: tap.Drop})
			require.ErrorContains(t, err, "the app is called over its own connection to Inngest")

			require.NoError(t, st.Restart(ctx, harness.ServiceInngest))
			require.NoError(t, st.Start(ctx, harness.ServiceInngest), "it is up")
			v = judge(harness.Expectation{Runs: []harness.RunExpectation{completed()}})
			require.NoError(t, v.Err(), "after the server was restarted")
		})
	}
}

func technician(ctx context.Context, t *testing.T, store app.Store, r app.Request) string {
	u, err := store.User(ctx, r.TechnicianID)
	require.NoError(t, err)
	return u.Email
}
