package inngest

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// sdkLog is the SDK's log. It demotes to Debug what the SDK says about a connection (Connect): it reports every failed attempt,
// and a graceful stop, as several errors. A Worker says what matters. What the SDK says about a call keeps its level.
type sdkLog struct {
	slog.Handler
	connection bool
	last       *ConnectionError // nil: not kept
}

// ConnectionError keeps the last error that the SDK logged about a connection: the SDK returns another one, which does not
// say what happened. The zero value has none. It is safe for concurrent use.
type ConnectionError struct {
	mu   sync.Mutex
	text string
}

// take returns the error, empty if there is none, and forgets it.
func (e *ConnectionError) take() string {
	if e == nil {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	text := e.text
	e.text = ""
	return text
}

// set keeps the error of a record. An attempt that was cancelled ends with one that says only that.
func (e *ConnectionError) set(r slog.Record) {
	var parts []string
	r.Attrs(func(a slog.Attr) bool {
		if slices.Contains([]string{"err", "error", "reason", "status", "resp"}, a.Key) {
			parts = append(parts, strings.TrimSpace(a.Value.String()))
		}
		return true
	})
	text := r.Message + ": " + strings.Join(parts, " ")
	if len(parts) == 0 || strings.Contains(text, context.Canceled.Error()) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text = text
}

// aboutCalls are the messages about calls that have no attribute by which they could be recognized.
var aboutCalls = []string{"failed to handle sdk request", "failed to serialize sdk response", "error decoding gateway request data"}

// Handle implements slog.Handler.
func (h sdkLog) Handle(ctx context.Context, r slog.Record) error {
	if h.connection && !slices.Contains(aboutCalls, r.Message) {
		if h.last != nil && r.Level >= slog.LevelError {
			h.last.set(r)
		}
		r.Level = slog.LevelDebug
		if !h.Handler.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h sdkLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		switch {
		case a.Key == "mode" && a.Value.String() == "connect":
			h.connection = true
		case a.Key == "function_slug": // of a call
			h.connection = false
		}
	}
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

// WithGroup implements slog.Handler.
func (h sdkLog) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}
