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

// WaitReady calls probe, at once and then at growing intervals (2 ms to 50 ms), until it returns nil. It returns early
// when the child ends, with its *ExitError, and when ctx ends, with an error that wraps both the context's and the last
// one of probe, and shows the end of the log. A child that is stopped meanwhile is an error too.
//
// The context that probe gets ends with the child and with ctx. A probe that ignores it may be left running.
func (p *Process) WaitReady(ctx context.Context, probe func(context.Context) error) error {
	began := time.Now()
	switch late, ended := Await(ctx, p.done, probe); {
	case ended:
		return p.endedEarly()
	case late != nil:
		return p.notReady(ctx, began, late)
	}
	return nil
}

// Await is WaitReady for whatever has an end that closes a channel. It returns late, what probe said last, when ctx
// ended first, and ended when the other did; neither when it is ready.
func Await(ctx context.Context, done <-chan struct{}, probe func(context.Context) error) (late error, ended bool) {
	probeCtx, cancel := context.WithCancel(ctx)
	defer cancel()

	late = errors.New("the first look has not come back")
	for pause := firstProbePause; ; pause = min(pause*3/2, lastProbePause) {
		result := make(chan error, 1)
		go func() { result <- probe(probeCtx) }()
		select {
		case err := <-result:
			if over(done) { // another may have answered, in place of one that could not take its port
				return nil, true
			}
			if err == nil {
				return nil, false
			}
			// Once ctx has ended a probe fails for that alone; what it said before is what went wrong.
			if ctx.Err() == nil {
				late = err
			}
		case <-done:
			return nil, true
		case <-ctx.Done():
			return late, false
		}

		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-done:
			timer.Stop()
			return nil, true
		case <-ctx.Done():
			timer.Stop()
			return late, false
		}
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

func (p *Process) endedEarly() error {
	if p.err != nil {
		return p.err
	}
	return fmt.Errorf("%s was stopped before it was ready", p.spec.Name)
}

func (p *Process) notReady(ctx context.Context, began time.Time, lastErr error) error {
	return &NotReadyError{
		What:  fmt.Sprintf("%s was not ready after %v", p.spec.Name, rounded(time.Since(began))),
		Cause: context.Cause(ctx), Last: lastErr, Tail: p.Tail(), LogFile: p.spec.LogFile,
	}
}

// NotReadyError says that a program runs and was not ready when the wait for it ended.
type NotReadyError struct {
	What    string   // as in "mongo was not ready after 30s"
	Cause   error    // why the wait ended
	Last    error    // what the last look saw
	Tail    []string // the program's last lines of output
	LogFile string   // the file that has all of them; may be empty
}

// Brief says it without the output. That time is up need not be said again.
func (e *NotReadyError) Brief() string {
	if errors.Is(e.Cause, context.DeadlineExceeded) {
		return fmt.Sprintf("%s: %v", e.What, e.Last)
	}
	return fmt.Sprintf("%s (%v): %v", e.What, e.Cause, e.Last)
}

// Error is Brief, with the last 20 lines of output.
func (e *NotReadyError) Error() string { return e.Brief() + evidence(e.Tail, e.LogFile) }

// Unwrap returns both causes.
func (e *NotReadyError) Unwrap() []error { return []error{e.Cause, e.Last} }
