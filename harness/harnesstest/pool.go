package harnesstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// pool keeps stacks of one backend started, each with the app on it, for tests that want one of their own.
type pool struct {
	start   func(context.Context) (*stack.Stack, error)
	ready   chan started
	waiting chan struct{} // holds a token while a test waits for the next one
	cancel  context.CancelFunc
	filler  sync.WaitGroup
}

// started is the result of a start.
type started struct {
	stack *stack.Stack
	err   error
}

// newPool keeps n stacks ready until it is closed.
func newPool(n int, start func(context.Context) (*stack.Stack, error)) *pool {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pool{
		start: start, cancel: cancel, waiting: make(chan struct{}, 1),
		ready: make(chan started, n-1), // the filler holds one more
	}
	p.filler.Go(func() {
		for {
			st, err := start(ctx)
			select {
			case p.ready <- started{st, err}: // a failure waits as well, so that it is not repeated endlessly
			case <-ctx.Done():
				if st != nil {
					_ = closeStack(st) // no test waits for it any more
				}
				return
			}
		}
	})
	return p
}

// lease returns a working stack, at once where one is ready. The first test that finds none waits for the one that is being
// started; further ones start their own. If the start of the ready stack failed, or the stack has ended since, lease starts
// another. The caller closes the stack.
func (p *pool) lease(ctx context.Context) (*stack.Stack, error) {
	var s started
	select {
	case s = <-p.ready:
	default:
		select {
		case p.waiting <- struct{}{}:
			defer func() { <-p.waiting }()
		default:
			return p.start(ctx)
		}
		select {
		case s = <-p.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.err == nil {
		if s.err = usable(ctx, s.stack); s.err == nil {
			return s.stack, nil
		}
		s.err = errors.Join(s.err, closeStack(s.stack))
	}
	st, err := p.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w\nthe one from the pool could not be used either: %w", err, s.err)
	}
	return st, nil
}

// readyTimeout bounds the look at a stack from the pool.
const readyTimeout = 5 * time.Second

// usable returns nil for a stack whose servers all answer and know the app.
func usable(ctx context.Context, st *stack.Stack) error {
	select {
	case <-st.Done():
		return fmt.Errorf("a stack that waited in the pool has ended: %w", st.Err())
	case <-st.App().Done():
		return fmt.Errorf("the app of a stack that waited in the pool has ended: %w", st.App().Err())
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	_, err := st.App().EnsureSynced(ctx)
	if err := errors.Join(err, st.Inbox().ReadToEnd(ctx)); err != nil {
		return fmt.Errorf("a stack that waited in the pool does not work any more: %w", err)
	}
	return nil
}

// close stops the stacks that no test took.
func (p *pool) close() error {
	p.cancel()
	p.filler.Wait()
	var errs []error
	for {
		select {
		case s := <-p.ready:
			if s.stack != nil {
				errs = append(errs, closeStack(s.stack))
			}
		default:
			return errors.Join(errs...)
		}
	}
}

// closeStack stops a stack and removes its directory.
func closeStack(st *stack.Stack) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(st.Close(ctx), os.RemoveAll(st.Dir()))
}
