package containers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// life is a container's time from one start to the exit after it.
type life struct {
	name  string
	began time.Time
	log   *logbook.Book
	last  <-chan struct{} // closed when it has printed the last line of its start
	done  chan struct{}
	err   error // why it ended; written before done is closed
}

// A refusal is what the engine says when it does not start a container.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// drainTime bounds the wait for the last output of a container that has ended.
const drainTime = time.Second

// begin starts the container. What it prints is read from its first line on, and its exit is waited for from before
// its start, so that neither can be missed.
func (srv *server) begin(ctx context.Context) (_ *life, err error) {
	if err := srv.log.Open(); err != nil {
		return nil, fmt.Errorf("open its log file: %w", err)
	}
	docker, id, alive := srv.servers.engine, srv.container.GetContainerID(), srv.servers.alive
	output, err := docker.ContainerAttach(alive, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			output.Close()
		}
	}()
	waitCtx, stopWaiting := context.WithCancel(alive)
	exit := docker.ContainerWait(waitCtx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	l := &life{name: string(srv.spec.service), began: time.Now(), log: srv.log, last: srv.printed.await(srv.spec.last), done: make(chan struct{})}

	startCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	if err := srv.container.Start(startCtx); err != nil {
		stopWaiting()
		<-exit.Error
		return nil, &refusal{err}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = stdcopy.StdCopy(l.log, l.log, output.Reader) // ends with the container, or with the engine
		l.log.EndLine()
	}()
	go func() {
		defer stopWaiting()
		var code int64
		var waitErr error
		select {
		case r := <-exit.Result:
			code = r.StatusCode
			if r.Error != nil {
				waitErr = errors.New(r.Error.Message)
			}
		case waitErr = <-exit.Error:
		}
		lived := time.Since(l.began)
		select {
		case <-drained:
		case <-time.After(drainTime):
		}
		output.Close()
		<-drained
		l.err = srv.exitError(code, lived, waitErr)
		close(l.done)
	}()
	return l, nil
}

// exitError says how a life ended, in the words that a process's end is told in.
func (srv *server) exitError(code int64, lived time.Duration, waitErr error) error {
	if waitErr != nil {
		return fmt.Errorf("the container of %s is lost after %v: %w", srv.spec.service, lived.Round(time.Millisecond), engine.Explain(waitErr))
	}
	e := &proc.ExitError{
		Name: string(srv.spec.service), Code: int(code), After: lived,
		Tail: srv.log.Tail(), LogFile: srv.log.File(), LogErr: srv.log.FileError(),
	}
	// Shells and engines add 128 to the number of the signal.
	if code > 128 && code < 128+65 {
		e.Code, e.Signal = -1, syscall.Signal(code-128).String()
		if srv.outOfMemory() {
			e.Signal += ", since the engine was out of memory for it"
		}
	}
	return e
}

func (srv *server) outOfMemory() bool {
	ctx, cancel := context.WithTimeout(srv.servers.alive, 2*time.Second)
	defer cancel()
	found, err := srv.servers.engine.ContainerInspect(ctx, srv.container.GetContainerID(), client.ContainerInspectOptions{})
	return err == nil && found.Container.State != nil && found.Container.State.OOMKilled
}

// lastTime bounds the wait for the last line of a start, which another version of a server may not print.
const lastTime = 2 * time.Second

// settle waits until a server that answers has done all that it does to start: its word is the cheap sign of it.
func (l *life) settle(ctx context.Context, works func(context.Context) error) error {
	timer := time.NewTimer(lastTime)
	defer timer.Stop()
	select {
	case <-l.last:
		return nil
	case <-timer.C:
		return l.waitReady(ctx, works)
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waitReady calls look until it returns nil. A life that ends, or ctx, ends the wait earlier.
func (l *life) waitReady(ctx context.Context, look func(context.Context) error) error {
	switch late, ended := proc.Await(ctx, l.done, look); {
	case ended:
		return l.err
	case late != nil:
		return l.notReady(ctx, late)
	}
	return nil
}

func (l *life) notReady(ctx context.Context, lastErr error) error {
	if errors.Is(lastErr, syscall.ECONNREFUSED) && inContainer() {
		lastErr = fmt.Errorf("%w; it runs, but this program runs in a container itself, where an engine outside publishes nothing: "+
			"run the tests on the engine's own machine, or %s", lastErr, engine.Alternative)
	}
	return &proc.NotReadyError{
		What:  fmt.Sprintf("%s was not ready after %v", l.name, time.Since(l.began).Round(time.Millisecond)),
		Cause: context.Cause(ctx), Last: lastErr, Tail: l.log.Tail(), LogFile: l.log.File(),
	}
}

func inContainer() bool {
	_, err := os.Stat("/.dockerenv")
	return err == nil
}
