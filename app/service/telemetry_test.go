package service_test

import (
	"bytes"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/odoo-maintenance/inngest-harness/app/service"
)

const (
	callerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan  = "00f067aa0ba902b7"
	traceParent = "00-" + callerTrace + "-" + callerSpan + "-01"
)

// notify creates a request with the caller's trace context, calls the function, and returns the event and the header
// Traceparent of the email.
func notify(t *testing.T, url string, server *server, mail mailer, header ...string) (event, inEmail string) {
	status, answer := post(t, url+"/api/requests", draft, header...)
	require.Equal(t, http.StatusCreated, status, answer)
	event = <-server.events
	mail.accept <- struct{}{}
	status, answer = call(t, url, event)
	require.Equal(t, http.StatusOK, status, answer)
	return event, (<-mail.arrived).Headers["Traceparent"]
}

// Without a collector, the caller's trace context goes through unchanged, and one is not invented.
func TestService_PassesTraceContextOn(t *testing.T) {
	t.Parallel()
	server, mail := newServer(t), newMailer(1)
	url, _ := run(t, configure(t, development(server)), service.Deps{Store: memory(t), Mailer: mail})

	event, inEmail := notify(t, url, server, mail, "Traceparent", traceParent)
	require.Contains(t, event, `"traceparent":"`+traceParent+`"`)
	require.Equal(t, traceParent, inEmail)
	for _, header := range [][]string{nil, {"Traceparent", "00-hello-1"}} {
		event, inEmail = notify(t, url, server, mail, header...)
		require.NotContains(t, event, "traceparent")
		require.Empty(t, inEmail)
	}
}

func TestService_TracesFromRequestToEmail(t *testing.T) { // sets the process's error handler
	var mu sync.Mutex
	spans := map[string]*otlp.Span{}
	collected := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var export collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &export) != nil {
			t.Errorf("not an export of traces: %s, %v", r.URL.Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range export.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					spans[span.GetName()] = span
				}
			}
		}
	}))
	t.Cleanup(collected.Close)
	server, mail := newServer(t), newMailer(1)
	environ := development(server)
	environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collected.URL
	url, stop := run(t, configure(t, environ), service.Deps{Store: memory(t), Mailer: mail})
	event, inEmail := notify(t, url, server, mail, "Traceparent", traceParent)
	require.NoError(t, stop(), "the last spans are sent at the stop")

	names := map[string]string{callerSpan: "the caller"}
	for name, span := range spans {
		require.Equal(t, callerTrace, hexadecimal(span.GetTraceId()), name)
		names[hexadecimal(span.GetSpanId())] = name
	}
	parents := map[string]string{}
	for name, span := range spans {
		parents[name] = names[hexadecimal(span.GetParentSpanId())]
	}
	require.Equal(t, map[string]string{
		"POST /api/requests":    "the caller",
		"send event":            "POST /api/requests",
		"fetch-request-details": "send event",
		"get-technician-email":  "send event",
		"send-email":            "send event",
		"SMTP":                  "send-email",
	}, parents)
	require.Contains(t, event, `"traceparent":"00-`+callerTrace+"-"+hexadecimal(spans["send event"].GetSpanId())+`-01"`)
	require.Equal(t, "00-"+callerTrace+"-"+hexadecimal(spans["SMTP"].GetSpanId())+"-01", inEmail)
}

func TestService_ServesMetricsOnTheirOwnAddress(t *testing.T) {
	t.Parallel()
	server, mail := newServer(t), newMailer(1)
	environ := development(server)
	environ["METRICS_ADDR"] = "127.0.0.1:0"
	var log bytes.Buffer
	url, stop := run(t, configure(t, environ), service.Deps{Store: memory(t), Mailer: mail, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	notify(t, url, server, mail)
	get := func(url string) (int, string) {
		resp, err := http.Get(url)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	status, _ := get(url + "/metrics")
	require.Equal(t, http.StatusNotFound, status, "metrics are on the app's own port")
	metricsURL := regexp.MustCompile(`http://\S+/metrics`).FindString(log.String())
	lines := []string{
		`maintenance_http_calls_total{route="POST /api/requests",status="201"} 1`,
		`maintenance_http_calls_total{route="POST /api/inngest",status="200"} 1`,
		`maintenance_dispatches_total{outcome="accepted"} 1`, `maintenance_claims_total{result="granted"} 1`,
		`maintenance_deliveries_total{outcome="accepted"} 1`, `maintenance_delivery_duration_seconds_count 1`,
		`maintenance_inngest_connected 1`, `maintenance_outbox_requests{state="pending"} 0`, `maintenance_outbox_oldest_age_seconds 0`,
	}
	require.EventuallyWithT(t, func(t *assert.CollectT) { // the server answers the app's event before the app has counted it
		status, text := get(metricsURL)
		require.Equal(t, http.StatusOK, status, text)
		for _, line := range lines {
			require.Contains(t, text, "\n"+line+"\n")
		}
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, stop())
	status, _ = get(metricsURL)
	require.Zero(t, status, "metrics are served after the stop")

	occupied := strings.TrimSuffix(strings.TrimPrefix(server.URL, "http://"), "/")
	environ["METRICS_ADDR"] = occupied
	_, err := service.New(t.Context(), configure(t, environ), service.Deps{Store: memory(t)})
	require.ErrorContains(t, err, "cannot serve metrics (choose another METRICS_ADDR): ")
}

func hexadecimal(id []byte) string { return hex.EncodeToString(id) }
