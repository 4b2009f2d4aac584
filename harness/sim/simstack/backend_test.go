package simstack_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestMain(m *testing.M) { backendtest.Main(m) }

const (
	to      = "kim@plant.test"
	mailOut = "From: app@plant.test\r\nTo: " + to + "\r\nSubject: Reminder\r\nX-Inngest-Run-Id: %s\r\n\r\nHello.\r\n"
)

// reminder is an app that sends an email a day after the event, at the second attempt.
func reminder(_ context.Context, env harness.Env) (http.Handler, error) {
	register := env.InngestURL + "/fn/register"
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "plant", Dev: inngestgo.BoolPtr(true), EventKey: &env.EventKey, EventAPIBaseURL: &env.InngestURL, APIBaseURL: &env.InngestURL,
		RegisterURL: &register, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "remind"}, inngestgo.EventTrigger("visit/planned", nil),
		func(ctx context.Context, in inngestgo.Input[any]) (any, error) {
			step.Sleep(ctx, "a-day", 24*time.Hour)
			return step.Run(ctx, "send", func(context.Context) (string, error) {
				if in.InputCtx.Attempt == 0 {
					if token := os.Getenv("REMINDER_TOKEN"); token != "" {
						return "", inngestgo.NoRetryError(fmt.Errorf("not with %s", token))
					}
					return "", fmt.Errorf("the first attempt fails")
				}
				text := fmt.Sprintf(mailOut, in.InputCtx.RunID)
				return "sent", smtp.SendMail(env.SMTPAddr, nil, "app@plant.test", []string{to}, []byte(text))
			})
		})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	return mux, nil
}

// reminded is what follows from a planned visit at every pace of the clock.
func reminded() harness.Expectation {
	return harness.Expectation{
		Runs: []harness.RunExpectation{{Function: "remind", Status: harness.StatusCompleted, Steps: []harness.StepExpectation{
			{ID: "a-day", Status: harness.StatusCompleted},
			{ID: "send", Status: harness.StatusCompleted, Attempts: 2},
		}}},
		Mail:        []harness.MailExpectation{{To: to, Copies: 1}},
		NoOtherRuns: true, NoOtherMail: true,
	}
}

func start(t *testing.T, o simstack.Options) (*simstack.Backend, *stack.Stack) {
	t.Helper()
	b := simstack.New(local.New(local.Options{}), o)
	st, err := stack.Start(t.Context(), b, stack.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.Background())) })
	require.NoError(t, st.RunHandler(t.Context(), reminder))
	return b, st
}

func TestBackend_JumpingClockKeepsWallClockTimes(t *testing.T) {
	_, st := start(t, simstack.Options{Pace: sim.Jump})
	for range 2 { // the second event comes a day later by the virtual clock: its times must still be those of the emails
		began := time.Now()
		ids, err := st.Send(t.Context(), harness.Event{Name: "visit/planned"})
		require.NoError(t, err)
		v, err := st.Judge(t.Context(), ids[0], reminded(), stack.JudgeOptions{})
		require.NoError(t, err)
		require.NoError(t, v.Err())
		run := v.Trace.Runs[0]
		for what, at := range map[string]time.Time{"event": v.Trace.Event.Received, "start": run.Started, "end": run.Ended, "step": run.Steps[1].Ended} {
			require.WithinRange(t, at, began.Add(-time.Second), time.Now().Add(time.Second), "%s", what)
		}
	}
}

func TestBackend_AdvancesTheClock(t *testing.T) {
	b, st := start(t, simstack.Options{})
	ids, err := st.Send(t.Context(), harness.Event{Name: "visit/planned"})
	require.NoError(t, err)
	s := b.Sim(st)
	require.NoError(t, s.Settle(t.Context()))
	require.Equal(t, harness.StatusRunning, s.RunsOf(ids[0])[0].Status, "a day takes a day")
	before := s.Now()
	require.NoError(t, s.Advance(t.Context(), 25*time.Hour))
	require.WithinDuration(t, before.Add(25*time.Hour), s.Now(), time.Minute)
	v, err := st.Judge(t.Context(), ids[0], reminded(), stack.JudgeOptions{})
	require.NoError(t, err)
	require.NoError(t, v.Err())
}

func TestBackend_LeavesSecretsOutOfItsLog(t *testing.T) {
	t.Setenv("REMINDER_TOKEN", "correct-horse-battery")
	b, st := start(t, simstack.Options{})
	_, err := st.Send(t.Context(), harness.Event{Name: "visit/planned"})
	require.NoError(t, err)
	require.NoError(t, b.Sim(st).Advance(t.Context(), 25*time.Hour))
	log, err := os.ReadFile(filepath.Join(st.Dir(), "inngest.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "not with ***")
}

func TestBackend_SimIsNilWhileStopped(t *testing.T) {
	b, st := start(t, simstack.Options{})
	first := b.Sim(st)
	require.NoError(t, st.Stop(t.Context(), harness.ServiceInngest))
	require.Nil(t, b.Sim(st))
	require.ErrorContains(t, st.Pause(t.Context(), harness.ServiceInngest), "inngest is not running")
	require.NoError(t, st.Start(t.Context(), harness.ServiceInngest))
	require.NotSame(t, first, b.Sim(st))
}

// A web page can make a browser send events to a port of this machine.
func TestBackend_RefusesPagesOfOtherSites(t *testing.T) {
	_, st := start(t, simstack.Options{})
	for host, origin := range map[string]string{"": "https://evil.test", "evil.test": ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, st.Endpoints().Inngest+"/e/key", strings.NewReader(`{"name":"visit/planned"}`))
		require.NoError(t, err)
		req.Close = true
		req.Host = cmp.Or(host, req.Host)
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusForbidden, res.StatusCode)
	}
	events, err := st.API().Events(t.Context(), inngestapi.EventFilter{Since: time.Now().Add(-time.Minute)})
	require.NoError(t, err)
	require.Empty(t, events)
}

func TestBackend_RefusesAttachedServers(t *testing.T) {
	t.Parallel()
	_, err := stack.Start(t.Context(), simstack.New(attach.New(attach.Options{}), simstack.Options{}), stack.Options{Dir: t.TempDir()})
	require.ErrorIs(t, err, harness.ErrUnsupported)
	require.ErrorContains(t, err, "use the local or the containers backend")
}
