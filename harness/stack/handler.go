package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// HandlerFunc makes an app that runs in this process: all its routes, the one at [Options].AppPath included. It is called
// again for each start of the app. ctx ends when the app is stopped, so the app may use it for as long as it lives. A
// handler with a method Close(context.Context) error is closed when the app is stopped.
type HandlerFunc func(ctx context.Context, env harness.Env) (http.Handler, error)

// handlerRunner runs an app in this process.
type handlerRunner struct {
	env         harness.Env
	makeHandler HandlerFunc
	handler     http.Handler
	server      *http.Server // nil where the start failed
	cancel      context.CancelCauseFunc
	ended       chan struct{}
	failure     error

	stopping sync.Once
	stopErr  error
}

func (r *handlerRunner) start(ctx context.Context) (err error) {
	r.ended = make(chan struct{})
	defer func() {
		if err != nil {
			close(r.ended)
		}
	}()
	l, err := net.Listen("tcp", r.env.Addr)
	if err != nil {
		return fmt.Errorf("listen for the app: %w", err)
	}
	// The app's context ends with ctx only during the start.
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	detach := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer detach()
	r.cancel = cancel
	if r.handler, err = r.makeHandler(life, r.env); err != nil {
		cancel(nil)
		return errors.Join(fmt.Errorf("make the app: %w", err), l.Close())
	}
	r.server = &http.Server{Handler: r.handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(r.ended)
		if err := r.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.failure = fmt.Errorf("the app's listener failed: %w", err)
		}
	}()
	return nil
}

func (r *handlerRunner) stop(ctx context.Context, grace time.Duration) error {
	if r.server == nil {
		return nil
	}
	if grace == 0 {
		return fmt.Errorf("kill an app that runs in this process: %w: run it as a command", harness.ErrUnsupported)
	}
	r.stopping.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		var errs []error
		if err := r.server.Shutdown(ctx); err != nil {
			errs = append(errs, r.server.Close())
		}
		if c, ok := r.handler.(interface{ Close(context.Context) error }); ok {
			errs = append(errs, within(ctx, c.Close))
		}
		r.cancel(nil)
		<-r.ended
		r.stopErr = errors.Join(errs...)
	})
	return r.stopErr
}

// within returns what f returns, or an error when ctx ends and f does not heed it.
func within(ctx context.Context, f func(context.Context) error) error {
	result := make(chan error, 1)
	go func() { result <- f(ctx) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-result:
		return err
	case <-time.After(heedTime):
		return fmt.Errorf("the app's Close goes on after its context has ended: %w", context.Cause(ctx))
	}
}

// heedTime is how long a function may take to return after its context has ended.
const heedTime = 500 * time.Millisecond

func (*handlerRunner) pause() error {
	return fmt.Errorf("pause an app that runs in this process: %w: run it as a command", harness.ErrUnsupported)
}
func (*handlerRunner) resume() error           { return nil }
func (*handlerRunner) tail() []string          { return nil }
func (*handlerRunner) log(time.Time) []string  { return nil }
func (r *handlerRunner) done() <-chan struct{} { return r.ended }
func (r *handlerRunner) err() error            { return r.failure }
