package proc

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	firstProbePause = 2 * time.Millisecond
	lastProbePause  = 50 * time.Millisecond
)

// A Program is anything that runs until it ends: a [Process], or what runs in a container.
type Program interface {
	// Name is what messages call it.
	Name() string
	// Done is closed when it has ended and its output is complete.
	Done() <-chan struct{}
	// Err is nil until Done is closed. It may be nil afterwards where the program was told to end.
	Err() error
	// Tail returns its last lines of output, oldest first.
	Tail() []string
	// LogFile is the file with all of its output; it may be empty.
	LogFile() string
}

// WaitReady is [AwaitReady] for the process.
func (p *Process) WaitReady(ctx context.Context, probe func(context.Context) error) error {
	return AwaitReady(ctx, p, probe)
}

// AwaitReady calls probe, at once and then at growing intervals (2 ms to 50 ms), until it returns nil. It returns early
// when the program ends, with its error, and when ctx ends, with a [*NotReadyError]. A program that is told to end
// meanwhile is an error too.
//
// The context that probe gets ends with the program and with ctx. A probe that ignores it may be left running.
func AwaitReady(ctx context.Context, p Program, probe func(context.Context) error) error {
	began := time.Now()
	probeCtx, cancel := context.WithCancel(ctx)
	defer cancel()

	last := errors.New("the first probe has not returned")
	for pause := firstProbePause; !over(p.Done()) && ctx.Err() == nil; pause = min(pause*3/2, lastProbePause) {
		asked := time.Now()
		result := make(chan error, 1)
		go func() { result <- probe(probeCtx) }()
		select {
		case err := <-result:
			// Another program may have answered, in place of one that could not take its port.
			if err == nil && !over(p.Done()) {
				return nil
			}
			// A probe fails when ctx ends; the error before is the one that explains why.
			if err != nil && ctx.Err() == nil {
				last = err
			}
		case <-p.Done():
		case <-ctx.Done():
		}
		// A probe that hung until the end explains more than one that failed before it.
		if hung := time.Since(asked); ctx.Err() != nil && hung > time.Second {
			last = fmt.Errorf("there has been no answer for %v", rounded(hung))
		}
		select {
		case <-time.After(pause):
		case <-p.Done():
		case <-ctx.Done():
		}
	}
	switch {
	case !over(p.Done()):
		return &NotReadyError{
			What:  fmt.Sprintf("%s was not ready after %v", p.Name(), rounded(time.Since(began))),
			Cause: context.Cause(ctx), Last: last, Tail: p.Tail(), LogFile: p.LogFile(),
		}
	case p.Err() == nil:
		return fmt.Errorf("%s was stopped before it was ready", p.Name())
	default:
		return p.Err()
	}
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// NotReadyError says that a program runs and was not ready when the wait for it ended.
type NotReadyError struct {
	What    string   // as in "mongo was not ready after 30s"
	Cause   error    // why the wait ended
	Last    error    // the last error of the probe
	Tail    []string // the program's last lines of output
	LogFile string   // the file that has all of them; may be empty
}

// Brief is the message without the output.
func (e *NotReadyError) Brief() string {
	if errors.Is(e.Cause, context.DeadlineExceeded) { // the first part says so
		return fmt.Sprintf("%s: %v", e.What, e.Last)
	}
	return fmt.Sprintf("%s (%v): %v", e.What, e.Cause, e.Last)
}

// Error is Brief, with the last 20 lines of output.
func (e *NotReadyError) Error() string { return e.Brief() + evidence(e.Tail, e.LogFile) }

// Unwrap returns both causes.
func (e *NotReadyError) Unwrap() []error { return []error{e.Cause, e.Last} }
