package inngest

import (
	"context"
	"log/slog"
)

// sdkLog is the SDK's log. It demotes to Debug what the SDK says about a connection (Connect): it reports every failed attempt,
// and a graceful stop, as several errors. A Worker says what matters.
type sdkLog struct {
	slog.Handler
	connection bool
}

// Enabled implements slog.Handler.
func (h sdkLog) Enabled(ctx context.Context, level slog.Level) bool {
	if h.connection {
		level = slog.LevelDebug
	}
	return h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h sdkLog) Handle(ctx context.Context, r slog.Record) error {
	if h.connection {
		r.Level = slog.LevelDebug
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h sdkLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		h.connection = h.connection || a.Key == "mode" && a.Value.String() == "connect"
	}
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

// WithGroup implements slog.Handler.
func (h sdkLog) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}
