package telemetry

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/dispatch"
)

const instanceID = attribute.Key("service.instance.id")

var serviceName = attribute.String("service.name", "maintenance")

// watchPause is how long what Watch asks for is kept: however often metrics are read, the database is asked once.
const watchPause = 5 * time.Second

// watchTimeout limits one question of Watch.
const watchTimeout = 2 * time.Second

// The values of labels. Each counter but http.calls has all its series from the start, so that the first increase is seen.
var (
	dispatchOutcomes = []string{"accepted", "failed"}
	causes           = []string{string(dispatch.NoRun), string(dispatch.Lost)}
	deliveryOutcomes = []string{"accepted", "refused", "failed"}
	claimResults     = map[app.ClaimResult]string{
		app.Granted: "granted", app.AlreadySent: "already_sent", app.HasFailed: "has_failed",
		app.Superseded: "superseded", app.HeldByOther: "held_by_other", app.InFlight: "in_flight",
	}
)

// metrics are the instruments.
type metrics struct {
	meter                                               metric.Meter
	calls, dispatches, redispatches, claims, deliveries metric.Int64Counter
	failed                                              metric.Int64Counter
	deliveryTime                                        metric.Float64Histogram
}

func newMetrics(meter metric.Meter) (metrics, error) {
	m := metrics{meter: meter}
	var problems []error
	counter := func(name, description, label string, values ...string) metric.Int64Counter {
		c, err := meter.Int64Counter("maintenance."+name, metric.WithDescription(description))
		problems = append(problems, err)
		for _, v := range values {
			add(c, 0, label, v)
		}
		return c
	}
	// The series of http.calls are not known at the start.
	m.calls = counter("http.calls", "Calls that the instance answered.", "")
	m.dispatches = counter("dispatches", "Events sent to Inngest, by outcome.", "outcome", dispatchOutcomes...)
	m.redispatches = counter("redispatches", "Notifications dispatched again, by cause.", "cause", causes...)
	results := []string{}
	for _, r := range claimResults {
		results = append(results, r)
	}
	slices.Sort(results)
	m.claims = counter("claims", "Claims of notifications by runs, by result.", "result", results...)
	m.deliveries = counter("deliveries", "Attempts to hand an email to the mail server, by outcome.", "outcome", deliveryOutcomes...)
	m.failed = counter("notifications.failed", "Notifications that became failed.", "")
	add(m.failed, 0)
	var err error
	m.deliveryTime, err = meter.Float64Histogram("maintenance.delivery.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of an attempt to hand an email to the mail server."),
		metric.WithExplicitBucketBoundaries(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60))
	return m, errors.Join(append(problems, err)...)
}

func add(c metric.Int64Counter, n int64, labels ...string) {
	var attributes []attribute.KeyValue
	for i := 0; i+1 < len(labels); i += 2 {
		attributes = append(attributes, attribute.String(labels[i], labels[i+1]))
	}
	c.Add(context.Background(), n, metric.WithAttributes(attributes...))
}

// serveMetrics sets the handler and returns the meter whose instruments it shows.
func (t *Telemetry) serveMetrics(what *resource.Resource) (metric.Meter, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(what))
	t.close = append(t.close, provider.Shutdown)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.handler = mux
	return provider.Meter(scope), nil
}

// Watch lets the metrics show the outbox, and whether Inngest can call the instance's functions: connected says so, or returns
// an error if that is not known. Both functions return soon after their context has ended.
func (t *Telemetry) Watch(outbox func(context.Context) (app.Outbox, error), connected func(context.Context) (bool, error)) error {
	w := &watch{telemetry: t, outbox: outbox, connected: connected}
	requests, err := t.metrics.meter.Int64ObservableGauge("maintenance.outbox.requests",
		metric.WithDescription("Requests in the database whose email was not sent, by state of the notification."))
	age, ageErr := t.metrics.meter.Float64ObservableGauge("maintenance.outbox.oldest.age", metric.WithUnit("s"),
		metric.WithDescription("Time since the creation of the oldest request whose notification is pending or dispatched."))
	connection, connectionErr := t.metrics.meter.Int64ObservableGauge("maintenance.inngest.connected",
		metric.WithDescription("1: Inngest lists the instance's functions, or the connection to it is up. 0: not."))
	if err := errors.Join(err, ageErr, connectionErr); err != nil {
		return err
	}
	_, err = t.metrics.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		now := time.Now()
		seen := w.look(ctx, now)
		if seen.known {
			o.ObserveInt64(connection, seen.connected)
		}
		if seen.err != nil {
			return nil // no value is better than an old one; the log has the error
		}
		for state, n := range map[app.State]int64{
			app.Pending: seen.outbox.Pending, app.Dispatched: seen.outbox.Dispatched, app.Failed: seen.outbox.Failed,
		} {
			o.ObserveInt64(requests, n, metric.WithAttributes(attribute.String("state", string(state))))
		}
		oldest := time.Duration(0)
		if !seen.outbox.Oldest.IsZero() {
			oldest = max(0, now.Sub(seen.outbox.Oldest))
		}
		o.ObserveFloat64(age, oldest.Seconds())
		return nil
	}, requests, age, connection)
	return err
}

// watch asks for what is not counted.
type watch struct {
	telemetry *Telemetry
	outbox    func(context.Context) (app.Outbox, error)
	connected func(context.Context) (bool, error)

	mu   sync.Mutex
	at   time.Time
	last sight
}

// sight is what a watch saw.
type sight struct {
	outbox    app.Outbox
	err       error
	connected int64
	known     bool // whether it is connected
}

func (w *watch) look(ctx context.Context, now time.Time) sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.at.IsZero() && now.Sub(w.at) < watchPause {
		return w.last
	}
	var s sight
	if s.outbox, s.err = limited(ctx, w.outbox); s.err != nil {
		w.telemetry.logger.Warn("cannot read the outbox for the metrics", "error", s.err)
	}
	connected, err := limited(ctx, w.connected)
	if err != nil {
		w.telemetry.logger.Warn("cannot see for the metrics whether Inngest can call the functions", "error", err)
	}
	s.known = err == nil
	if connected {
		s.connected = 1
	}
	w.at, w.last = now, s
	return s
}

// limited asks with a time limit of its own.
func limited[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	return ask(ctx)
}

// route returns what a call's route is called in metrics and spans: that of the app's routes which served it.
func route(pattern, method string) string {
	if pattern == "" {
		return "none"
	}
	if !strings.Contains(pattern, " ") {
		return method + " " + pattern
	}
	return pattern
}
