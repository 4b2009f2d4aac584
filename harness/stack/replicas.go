package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// replicas runs several instances of an app, each on an address of its own. It is one incarnation: it has ended when one of
// them has ended by itself, or all were told to.
type replicas struct {
	envs []harness.Env
	make func(env harness.Env, n int) runner // makes the instance n, counted from 1

	changing []sync.Mutex // one for each instance: held while it is started or stopped
	stopped  bool         // no instance is started any more; guarded by all of changing
	ended    chan struct{}
	end      sync.Once // closes ended

	mu    sync.Mutex // guards the fields below
	now   []runner   // the current start of each instance
	alive int
}

func newReplicas(envs []harness.Env, instance func(harness.Env, int) runner) *replicas {
	r := &replicas{envs: envs, make: instance, changing: make([]sync.Mutex, len(envs)), ended: make(chan struct{})}
	for i, env := range envs {
		r.now = append(r.now, instance(env, i+1))
	}
	return r
}

func (r *replicas) start(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	r.alive = len(r.envs) // also of those that do not start: then all are stopped
	for i, one := range r.now {
		g.Go(func() error {
			if err := one.start(ctx); err != nil {
				return fmt.Errorf("instance %d: %w", i+1, err)
			}
			go r.watch(one)
			return nil
		})
	}
	return g.Wait()
}

// watch waits for the end of an instance.
func (r *replicas) watch(one runner) {
	<-one.done()
	if one.err() != nil {
		r.end.Do(func() { close(r.ended) })
	}
	r.over()
}

// current returns the current start of each instance.
func (r *replicas) current() []runner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.now)
}

// each calls f with every instance at the same time.
func (r *replicas) each(f func(runner) error) error {
	all := r.current()
	errs := make([]error, len(all))
	var g sync.WaitGroup
	for i, one := range all {
		g.Go(func() { errs[i] = f(one) })
	}
	g.Wait()
	return errors.Join(errs...)
}

func (r *replicas) stop(ctx context.Context, grace time.Duration) error {
	for i := range r.changing {
		r.changing[i].Lock()
		defer r.changing[i].Unlock()
	}
	r.stopped = true
	return r.each(func(one runner) error { return one.stop(ctx, grace) })
}

func (r *replicas) stopOne(ctx context.Context, n int, grace time.Duration) error {
	r.changing[n-1].Lock()
	defer r.changing[n-1].Unlock()
	return r.current()[n-1].stop(ctx, grace)
}

// restart starts an instance that has ended, on its old address.
func (r *replicas) restart(ctx context.Context, n int) error {
	r.changing[n-1].Lock()
	defer r.changing[n-1].Unlock()
	select {
	case <-r.current()[n-1].done():
	default:
		return nil // it is running
	}
	if r.stopped || !r.begin() {
		return errors.New("all instances of the app have ended: start the app")
	}
	next := r.make(r.envs[n-1], n)
	if err := next.start(ctx); err != nil {
		r.over()
		return fmt.Errorf("instance %d: %w", n, errors.Join(err, next.stop(context.WithoutCancel(ctx), 0)))
	}
	r.mu.Lock()
	r.now[n-1] = next
	r.mu.Unlock()
	go r.watch(next)
	return nil
}

// begin counts an instance that is being started. It reports whether any is still there.
func (r *replicas) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alive == 0 {
		return false
	}
	r.alive++
	return true
}

// over counts an instance that has ended.
func (r *replicas) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alive--; r.alive == 0 {
		r.end.Do(func() { close(r.ended) })
	}
}

func (r *replicas) pause() error  { return r.each(runner.pause) }
func (r *replicas) resume() error { return r.each(runner.resume) }

func (r *replicas) tail() (lines []string) {
	for i, one := range r.current() {
		for _, line := range one.tail() {
			lines = append(lines, fmt.Sprintf("[%d] %s", i+1, line))
		}
	}
	return lines
}

func (r *replicas) log(since time.Time) []string { return r.current()[0].log(since) } // they share one
func (r *replicas) done() <-chan struct{}        { return r.ended }

func (r *replicas) err() error {
	var errs []error
	for _, one := range r.current() {
		errs = append(errs, one.err())
	}
	return errors.Join(errs...)
}

// replica returns the number of the instance that a service names, 0 for the app itself.
func replica(name harness.Service) (n int, isApp bool) {
	number, ok := strings.CutPrefix(string(name), string(harness.ServiceApp))
	if !ok || number == "" {
		return 0, ok
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(number, "-")); err == nil && n > 0 && name == harness.Replica(n) {
		return n, true
	}
	return 0, false
}

// onReplica calls f with the app's instances, if it has one of this number.
func (a *App) onReplica(n int, f func(*replicas) error) error {
	now := a.current()
	if now == nil {
		return ErrNoApp
	}
	all, ok := now.runner.(*replicas)
	if !ok || n > len(all.envs) {
		return fmt.Errorf("the app has no instance %d: see the option Replicas", n)
	}
	return f(all)
}
