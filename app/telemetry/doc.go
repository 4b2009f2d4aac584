// Package telemetry counts and traces what the app does. It is the only package that imports OpenTelemetry: it wraps the
// parts of the app (an HTTP handler, a Sender, a Mailer) or receives their reports (functions.Observer).
//
// Metrics has what Prometheus reads, and alerts.yml the alerts on it. Traces leave over OTLP.
//
// A trace begins with the caller of the API, if the call has a traceparent header (W3C Trace Context). The request and its
// event keep the context, and the email names it in the header Traceparent, also where no traces are exported.
package telemetry
