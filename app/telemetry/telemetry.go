package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
)

// scope names the instruments and spans of this package.
const scope = "github.com/odoo-maintenance/inngest-harness/app/telemetry"

// Options configure a Telemetry. The zero value counts and exports nothing.
type Options struct {
	// Metrics are counted, for Handler.
	Metrics bool
	// TracesURL is the OTLP endpoint over HTTP to which spans are sent. Empty: none are made. The environment variables
	// OTEL_EXPORTER_OTLP_HEADERS, …_TIMEOUT, …_CERTIFICATE, OTEL_TRACES_SAMPLER, OTEL_BSP_… and OTEL_RESOURCE_ATTRIBUTES apply.
	TracesURL string
	// InstanceID names the instance in spans. Empty: the host's name.
	InstanceID string
	// Logger is required.
	Logger *slog.Logger
}

// Telemetry counts and traces. It is safe for concurrent use.
type Telemetry struct {
	logger     *slog.Logger
	metrics    metrics
	handler    http.Handler
	tracer     trace.Tracer
	propagator propagation.TraceContext
	close      []func(context.Context) error
}

// New returns a Telemetry. The caller closes it.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	t := &Telemetry{logger: o.Logger, handler: http.NotFoundHandler(), tracer: nooptrace.NewTracerProvider().Tracer(scope)}
	id := o.InstanceID
	if id == "" {
		id, _ = os.Hostname()
	}
	// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
	what, err := resource.New(ctx, resource.WithAttributes(serviceName, instanceID.String(id)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe this instance: %w", err)
	}
	var meter metric.Meter = noopmetric.Meter{}
	if o.Metrics {
		if meter, err = t.serveMetrics(what); err != nil {
			return nil, fmt.Errorf("set up metrics: %w", err)
		}
	}
	if t.metrics, err = newMetrics(meter); err != nil {
		return nil, errors.Join(fmt.Errorf("set up metrics: %w", err), t.Close(ctx))
	}
	if o.TracesURL != "" {
		// For the whole process: the SDK has no other way to tell of spans that could not be sent.
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Logger.Warn("cannot send traces", "error", err) }))
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(o.TracesURL))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("set up traces: %w", err), t.Close(ctx))
		}
		provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(what))
		t.tracer = provider.Tracer(scope)
		t.close = append(t.close, provider.Shutdown)
	}
	return t, nil
}

// Handler serves the metrics as text that Prometheus reads.
func (t *Telemetry) Handler() http.Handler { return t.handler }

// Close exports what is left.
func (t *Telemetry) Close(ctx context.Context) error {
	var err error
	for _, f := range t.close {
		err = errors.Join(err, f(ctx))
	}
	return err
}

// TraceParent returns the trace context of ctx as the header traceparent has it, or "".
func (t *Telemetry) TraceParent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	t.propagator.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// within returns a context whose span is the one that a TraceParent names.
func (t *Telemetry) within(ctx context.Context, traceParent string) context.Context {
	return t.propagator.Extract(ctx, propagation.MapCarrier{"traceparent": traceParent})
}
