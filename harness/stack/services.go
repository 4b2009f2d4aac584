package stack

import (
	"context"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// ExitError says that a server or an app that runs as a program ended by itself: before it was ready, or later. It has
// the exit status, how long it ran, and the end of its output. errors.As finds it.
type ExitError = proc.ExitError

// Stop shuts a service down gracefully. A server keeps its address; [Stack.Start] starts it again.
func (s *Stack) Stop(ctx context.Context, name harness.Service) error {
	if n, ok := replica(name); n > 0 {
		return s.app.onReplica(n, func(r *replicas) error { return r.stopOne(ctx, n, s.options.AppGrace) })
	} else if ok {
		return s.app.stop(ctx, s.options.AppGrace)
	}
	return s.endServer(ctx, name, s.servers.Stop)
}

// Kill terminates a service immediately, like a crash. An app that runs as a handler in this process cannot be killed.
func (s *Stack) Kill(ctx context.Context, name harness.Service) error {
	if n, ok := replica(name); n > 0 {
		return s.app.onReplica(n, func(r *replicas) error { return r.stopOne(ctx, n, 0) })
	} else if ok {
		return s.app.stop(ctx, 0)
	}
	return s.endServer(ctx, name, s.servers.Kill)
}

// endServer ends a server and notes which state is lost with it. Inngest keeps its own in production.
func (s *Stack) endServer(ctx context.Context, name harness.Service, end func(context.Context, harness.Service) error) error {
	if err := end(ctx, name); err != nil {
		return err
	}
	if name == harness.ServiceMailHog || name == harness.ServiceInngest && !s.options.Production {
		return s.ledger.StateLost(ctx, name)
	}
	return nil
}

// Start starts a service that was stopped or killed and returns when it is usable. A restarted dev server has forgotten
// its apps, and a restarted app may have changed: after either of them an app that runs is synced again, but not after one of several
// instances of the app. An app that connects does so by itself: then Start waits for it.
func (s *Stack) Start(ctx context.Context, name harness.Service) error {
	if n, ok := replica(name); n > 0 {
		return s.redactor.Error(s.app.onReplica(n, func(r *replicas) error { return r.restart(ctx, n) }))
	} else if ok {
		return s.app.restart(ctx)
	}
	if err := s.servers.Start(ctx, name); err != nil {
		return err
	}
	if name != harness.ServiceInngest || s.app.current().ended() {
		return nil
	}
	// A connection that was made to the server before it was started the last time has ended.
	var since time.Time
	if servers, ok := s.servers.(interface {
		StartedAt(harness.Service) time.Time
	}); ok {
		since = servers.StartedAt(name)
	}
	return s.app.changeRunning(ctx, func(ctx context.Context, now *incarnation) error { return s.app.sync(ctx, now, since) })
}

// Restart is Stop followed by Start.
func (s *Stack) Restart(ctx context.Context, name harness.Service) error {
	if err := s.Stop(ctx, name); err != nil {
		return err
	}
	return s.Start(ctx, name)
}

// Pause freezes a service: its connections stay open, and it answers nothing. [Stack.Resume] continues it.
func (s *Stack) Pause(ctx context.Context, name harness.Service) error {
	if n, ok := replica(name); n > 0 {
		return s.app.onReplica(n, func(r *replicas) error { return r.current()[n-1].pause() })
	} else if ok {
		return s.app.withRunner(runner.pause)
	}
	return s.servers.Pause(ctx, name)
}

// Resume continues a paused service.
func (s *Stack) Resume(ctx context.Context, name harness.Service) error {
	if n, ok := replica(name); n > 0 {
		return s.app.onReplica(n, func(r *replicas) error { return r.current()[n-1].resume() })
	} else if ok {
		return s.app.withRunner(runner.resume)
	}
	return s.servers.Resume(ctx, name)
}

// Tail returns the last lines of a service's log, oldest first, without secrets. An app that runs as a handler in this
// process has none: it logs where the test does.
func (s *Stack) Tail(name harness.Service) []string {
	if n, ok := replica(name); n > 0 {
		var tail []string
		_ = s.app.onReplica(n, func(r *replicas) error { tail = r.current()[n-1].tail(); return nil })
		return tail
	} else if ok {
		return s.app.tail()
	}
	redact := s.redactor.Lines()
	var tail []string
	for _, line := range s.servers.Tail(name) {
		tail = append(tail, redact(line))
	}
	return tail
}
