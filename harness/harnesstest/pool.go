package harnesstest

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// pool keeps stacks of one backend started, each with the app on it, for tests that want one of their own.
type pool struct {
	ready  chan *harness.Stack
	failed chan struct{} // closed when err is set
	err    error         // why there will be no more
	cancel context.CancelFunc
	filler sync.WaitGroup
}

// newPool keeps n stacks ready, as start makes them, until it is closed or start fails.
func newPool(n int, start func(context.Context) (*harness.Stack, error)) *pool {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pool{ready: make(chan *harness.Stack, n-1), failed: make(chan struct{}), cancel: cancel} // one more is in the filler's hand
	p.filler.Go(func() {
		for {
			st, err := start(ctx)
			if err != nil {
				p.err = err
				close(p.failed)
				return
			}
			select {
			case p.ready <- st:
			case <-ctx.Done():
				_ = closeStack(st) // nobody is left to hear of it
				return
			}
		}
	})
	return p
}

// lease returns a stack, at once where one waits. The caller closes it.
func (p *pool) lease(ctx context.Context) (*harness.Stack, error) {
	select {
	case st := <-p.ready:
		return st, nil
	case <-p.failed:
		return nil, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// close ends the stacks that nobody took.
func (p *pool) close() error {
	p.cancel()
	p.filler.Wait()
	var errs []error
	for {
		select {
		case st := <-p.ready:
			errs = append(errs, closeStack(st))
		default:
			return errors.Join(errs...)
		}
	}
}

// closeStack ends a stack and removes its directory.
func closeStack(st *harness.Stack) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(st.Close(ctx), os.RemoveAll(st.Dir()))
}
