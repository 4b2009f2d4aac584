package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/dispatch"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func open(t *testing.T, o telemetry.Options) *telemetry.Telemetry {
	o.Logger = slog.New(slog.DiscardHandler)
	tel, err := telemetry.New(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Close(context.WithoutCancel(t.Context()))) })
	return tel
}

func read(t *testing.T, tel *telemetry.Telemetry) string {
	answer := httptest.NewRecorder()
	tel.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	require.Equal(t, http.StatusOK, answer.Code)
	return answer.Body.String()
}

func requireMetrics(t *testing.T, tel *telemetry.Telemetry, lines ...string) {
	t.Helper()
	got := read(t, tel)
	for _, line := range lines {
		require.Contains(t, "\n"+got, "\n"+line+"\n")
	}
}

func TestHandler_ServesNothingWithoutMetrics(t *testing.T) {
	t.Parallel()
	tel := open(t, telemetry.Options{})
	require.NoError(t, tel.Watch(nil, nil))
	answer := httptest.NewRecorder()
	tel.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	require.Equal(t, http.StatusNotFound, answer.Code)
}

// A counter that first appears with its first increase would hide that increase from Prometheus.
func TestCounters_HaveAllSeriesFromTheStart(t *testing.T) {
	t.Parallel()
	requireMetrics(t, open(t, telemetry.Options{Metrics: true}),
		`maintenance_dispatches_total{outcome="accepted"} 0`, `maintenance_dispatches_total{outcome="failed"} 0`,
		`maintenance_redispatches_total{cause="no_run"} 0`, `maintenance_redispatches_total{cause="lost"} 0`,
		`maintenance_deliveries_total{outcome="accepted"} 0`, `maintenance_deliveries_total{outcome="refused"} 0`,
		`maintenance_deliveries_total{outcome="failed"} 0`,
		"maintenance_notifications_failed_total 0",
		`maintenance_claims_total{result="granted"} 0`, `maintenance_claims_total{result="in_flight"} 0`)
}

func TestHTTP_CountsCallsByRouteAndStatus(t *testing.T) {
	t.Parallel()
	tel := open(t, telemetry.Options{Metrics: true})
	mux := http.NewServeMux()
	parents := []string{}
	mux.HandleFunc("GET /api/requests/{id}", func(w http.ResponseWriter, r *http.Request) {
		parents = append(parents, tel.TraceParent(r.Context()))
		if r.PathValue("id") == "x" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	handler := tel.HTTP(mux)
	for _, path := range []string{"/api/requests/1", "/api/requests/2", "/api/requests/x", "/wp-admin"} {
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		r.Header.Set("Traceparent", caller)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	requireMetrics(t, tel,
		`maintenance_http_calls_total{route="GET /api/requests/{id}",status="200"} 2`,
		`maintenance_http_calls_total{route="GET /api/requests/{id}",status="404"} 1`,
		`maintenance_http_calls_total{route="none",status="404"} 1`)
	require.Equal(t, []string{caller, caller, caller}, parents, "without export, the caller's context is passed on")
}

type sends func(ctx context.Context, event any) (string, error)

func (f sends) Send(ctx context.Context, event any) (string, error) { return f(ctx, event) }

func TestSender_CountsOutcomes(t *testing.T) {
	t.Parallel()
	tel := open(t, telemetry.Options{Metrics: true})
	sender := tel.Sender(sends(func(_ context.Context, event any) (string, error) {
		e := event.(app.Event)
		require.Equal(t, caller, e.Data.TraceParent)
		if e.IdempotencyKey == "bad" {
			return "", errors.New("503")
		}
		return "01K", nil
	}))
	stopping, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := sender.Send(stopping, app.Event{IdempotencyKey: "bad", Data: app.RequestCreated{TraceParent: caller}})
	require.Error(t, err, "a send that a stop cuts off is not counted")
	for _, key := range []string{"a", "b", "bad"} {
		_, err := sender.Send(t.Context(), app.Event{IdempotencyKey: key, Data: app.RequestCreated{TraceParent: caller}})
		require.Equal(t, key == "bad", err != nil)
	}
	tel.Redispatching(dispatch.NoRun)
	tel.Claim(app.HeldByOther)
	tel.Failed()
	requireMetrics(t, tel, `maintenance_dispatches_total{outcome="accepted"} 2`, `maintenance_dispatches_total{outcome="failed"} 1`,
		"maintenance_notifications_failed_total 1",
		`maintenance_redispatches_total{cause="no_run"} 1`, `maintenance_claims_total{result="held_by_other"} 1`)
}

type delivers func(ctx context.Context, m *email.Message) error

func (f delivers) Send(ctx context.Context, m *email.Message) error { return f(ctx, m) }

func TestMailer_CountsOutcomesAndTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tel := open(t, telemetry.Options{Metrics: true})
		for _, c := range []struct {
			took time.Duration
			err  error
		}{
			{20 * time.Millisecond, nil},
			{2 * time.Second, nil},
			{5 * time.Second, &email.SendError{Phase: email.PhaseRcpt, Permanent: true, Err: errors.New("550")}},
			{20 * time.Second, &email.SendError{Phase: email.PhaseConnect, Err: errors.New("refused")}},
		} {
			message := &email.Message{}
			err := tel.Mailer(delivers(func(_ context.Context, m *email.Message) error {
				time.Sleep(c.took)
				require.Same(t, message, m, "no trace, no copy")
				return c.err
			})).Send(t.Context(), message)
			require.Equal(t, c.err, err)
		}
		requireMetrics(t, tel, `maintenance_deliveries_total{outcome="accepted"} 2`, `maintenance_deliveries_total{outcome="refused"} 1`,
			`maintenance_deliveries_total{outcome="failed"} 1`,
			`maintenance_delivery_duration_seconds_bucket{le="0.03"} 1`, `maintenance_delivery_duration_seconds_bucket{le="3"} 2`,
			`maintenance_delivery_duration_seconds_bucket{le="10"} 3`, `maintenance_delivery_duration_seconds_count 4`,
			`maintenance_delivery_duration_seconds_sum 27.02`)
	})
}

func TestWatch_AsksOnceInSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tel := open(t, telemetry.Options{Metrics: true})
		asked, connected := 0, false
		var fail, silent error
		require.NoError(t, tel.Watch(func(ctx context.Context) (app.Outbox, error) {
			_, limited := ctx.Deadline()
			require.True(t, limited, "a question without a time limit")
			asked++
			if fail != nil {
				<-ctx.Done() // takes all its time
			}
			return app.Outbox{Pending: 1, Dispatched: 2, Failed: 3, Oldest: time.Now().Add(-time.Minute)}, fail
		}, func(ctx context.Context) (bool, error) {
			require.NoError(t, ctx.Err(), "the database has used up the time of this question")
			return connected, silent
		}))
		for range 3 {
			requireMetrics(t, tel, `maintenance_outbox_requests{state="pending"} 1`, `maintenance_outbox_requests{state="dispatched"} 2`,
				`maintenance_outbox_requests{state="failed"} 3`, "maintenance_outbox_oldest_age_seconds 60", "maintenance_inngest_connected 0")
		}
		require.Equal(t, 1, asked, "the database is asked at each reading")

		fail, connected = errors.New("away"), true
		time.Sleep(5 * time.Second)
		require.NotContains(t, read(t, tel), "maintenance_outbox_", "values of a database that does not answer")
		requireMetrics(t, tel, "maintenance_inngest_connected 1")
		require.Equal(t, 2, asked)

		fail, silent = nil, errors.New("no answer")
		time.Sleep(5 * time.Second)
		text := read(t, tel)
		require.Contains(t, text, "maintenance_outbox_")
		require.NotContains(t, text, "maintenance_inngest_connected", "a value of a server that does not answer")
	})
}

// all returns a Telemetry that has a value for each metric.
func all(t *testing.T) *telemetry.Telemetry {
	tel := open(t, telemetry.Options{Metrics: true})
	require.NoError(t, tel.Watch(func(context.Context) (app.Outbox, error) { return app.Outbox{}, nil },
		func(context.Context) (bool, error) { return true, nil }))
	tel.HTTP(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	require.NoError(t, tel.Mailer(delivers(func(context.Context, *email.Message) error { return nil })).Send(t.Context(), &email.Message{}))
	return tel
}

// alerts.yml, docs/runbook.md and the app name the same metrics.
func TestMetrics_AreThoseOfAlertsAndRunbook(t *testing.T) {
	t.Parallel()
	got := find(read(t, all(t)), `(?m)^# TYPE (maintenance_\w+) `)
	require.NotEmpty(t, got)

	alerts, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	for _, name := range find(string(alerts), `\b(maintenance_[a-z_]+)\b`) {
		require.Contains(t, got, name, "alerts.yml names a metric that the app does not have")
	}
	runbook, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	require.Equal(t, got, find(string(runbook), "(?m)^\\| `(maintenance_\\w+)` \\|"), "the table of metrics in docs/runbook.md")
}

// Each alert has its heading in the runbook, and the reverse.
func TestAlerts_StandInTheRunbook(t *testing.T) {
	t.Parallel()
	alerts, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	runbook, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	names := find(string(alerts), `(?m)^\s+- alert: (\w+)$`)
	require.NotEmpty(t, names)
	require.Equal(t, names, find(string(runbook), `(?m)^### (Maintenance\w+)$`))
	for _, name := range names {
		require.Contains(t, string(alerts), "runbook: docs/runbook.md#"+strings.ToLower(name)+"\n", "the alert's link")
	}
}

func find(text, pattern string) []string {
	var all []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestNew_LogsWhatItCannotSend(t *testing.T) { // sets the process's error handler
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	t.Cleanup(collector.Close)
	var log bytes.Buffer
	tel, err := telemetry.New(t.Context(), telemetry.Options{TracesURL: collector.URL + "/v1/traces", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	_, _ = tel.Sender(sends(func(context.Context, any) (string, error) { return "", nil })).Send(t.Context(), app.Event{})
	require.NoError(t, tel.Close(t.Context()))
	require.Contains(t, log.String(), `msg="cannot send traces"`)
}
