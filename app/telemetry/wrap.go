package telemetry

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/dispatch"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
)

// HTTP counts the calls of a handler, and makes a span of each call of the API.
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, end := r.Context(), func(string, int) {}
		if strings.HasPrefix(r.URL.Path, "/api/requests") {
			ctx, end = t.call(r)
		}
		answer := &recorder{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		next.ServeHTTP(answer, r)
		name := route(r.Pattern, r.Method)
		add(t.metrics.calls, 1, "route", name, "status", strconv.Itoa(answer.status))
		end(name, answer.status)
	})
}

// call begins the span of a call, below that of the caller.
func (t *Telemetry) call(r *http.Request) (context.Context, func(route string, status int)) {
	ctx := t.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(route string, status int) {
		span.SetName(route)
		span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
		span.End()
	}
}

// recorder records the status of a response.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Sender counts and traces the events that s sends. What an event starts belongs to the trace of its sending.
func (t *Telemetry) Sender(s dispatch.Sender) dispatch.Sender { return sender{t, s} }

type sender struct {
	t    *Telemetry
	next dispatch.Sender
}

// Send implements dispatch.Sender.
func (s sender) Send(ctx context.Context, event any) (string, error) {
	e, ok := event.(app.Event)
	if !ok {
		return s.next.Send(ctx, event)
	}
	ctx, span := s.t.tracer.Start(s.t.within(ctx, e.Data.TraceParent), "send event",
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
			attribute.String("maintenance.request", e.Data.RequestID), attribute.String("maintenance.event", e.IdempotencyKey)))
	e.Data.TraceParent = s.t.TraceParent(ctx)
	id, err := s.next.Send(ctx, e)
	end(span, err, "the event could not be sent") // the error may hold the event key
	if err != nil && ctx.Err() != nil {
		return id, err // cut off by a stop: whether the server has the event is not known, and another process sends it again
	}
	outcome := "accepted"
	if err != nil {
		outcome = "failed"
	}
	add(s.t.metrics.dispatches, 1, "outcome", outcome)
	return id, err
}

// Redispatching counts another dispatch of a notification.
func (t *Telemetry) Redispatching(cause dispatch.Cause) {
	add(t.metrics.redispatches, 1, "cause", string(cause))
}

// Step implements functions.Observer.
func (t *Telemetry) Step(ctx context.Context, s functions.Step) (context.Context, func(error)) {
	ctx, span := t.tracer.Start(t.within(ctx, s.TraceParent), s.ID, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("inngest.run", s.RunID), attribute.String("maintenance.request", s.RequestID), attribute.Int("inngest.attempt", s.Attempt)))
	return ctx, func(err error) {
		text := ""
		if err != nil {
			text = err.Error()
		}
		end(span, err, text)
	}
}

// Claim implements functions.Observer.
func (t *Telemetry) Claim(result app.ClaimResult) {
	add(t.metrics.claims, 1, "result", claimResults[result])
}

// Failed implements functions.Observer.
func (t *Telemetry) Failed() { add(t.metrics.failed, 1) }

// Mailer counts and traces the deliveries of m, and names the trace in each email.
func (t *Telemetry) Mailer(m functions.Mailer) functions.Mailer { return mailer{t, m} }

type mailer struct {
	t    *Telemetry
	next functions.Mailer
}

// Send implements functions.Mailer.
func (m mailer) Send(ctx context.Context, message *email.Message) error {
	ctx, span := m.t.tracer.Start(ctx, "SMTP", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("maintenance.message", message.MessageID)))
	if parent := m.t.TraceParent(ctx); parent != "" {
		traced := *message
		traced.Headers = maps.Clone(message.Headers)
		if traced.Headers == nil {
			traced.Headers = map[string]string{}
		}
		traced.Headers["Traceparent"] = parent
		message = &traced
	}
	start := time.Now()
	err := m.next.Send(ctx, message)
	m.t.metrics.deliveryTime.Record(ctx, time.Since(start).Seconds())
	outcome, text := "accepted", ""
	if err != nil {
		outcome, text = "failed", err.Error()
		if e, ok := errors.AsType[*email.SendError](err); ok && e.Permanent {
			outcome = "refused"
		}
	}
	add(m.t.metrics.deliveries, 1, "outcome", outcome)
	end(span, err, text)
	return err
}

func end(span trace.Span, err error, text string) {
	if err != nil {
		span.SetStatus(codes.Error, text)
	}
	span.End()
}
