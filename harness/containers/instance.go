package containers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

const (
	// engineTime bounds one operation of the engine that must not be cancelled half-way. It is there for an engine that
	// hangs: a busy one may take many seconds for what usually takes 200 ms.
	engineTime = 2 * time.Minute
	// freezeTime bounds how long an engine is asked again that could not freeze a container.
	freezeTime = 30 * time.Second
	// drainTime bounds the wait for the last output of a container that has ended.
	drainTime = time.Second
)

// startSlots bounds how many containers this process starts at once, to what one stack needs. Where many stacks start at
// once, an engine starts their containers faster one after the other than all together.
var startSlots = make(chan struct{}, len(insidePorts))

// instance is a container from one start to the exit after it.
type instance struct {
	unit      *unit
	container testcontainers.Container
	probe     *fleet.Probe
	log       *logbook.Book
	done      chan struct{}
	err       error // why it ended; written before done is closed
}

// start starts the container. Its output and its exit are awaited before, so that neither can be missed.
func (i *instance) start(ctx context.Context) (err error) {
	select {
	case startSlots <- struct{}{}:
		defer func() { <-startSlots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := i.log.Open(); err != nil {
		return fmt.Errorf("open its log file: %w", err)
	}
	docker, id, alive := i.unit.stack.engine, i.id(), i.unit.stack.alive
	output, err := docker.ContainerAttach(alive, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return err
	}
	waitCtx, stopWaiting := context.WithCancel(alive)
	exit := docker.ContainerWait(waitCtx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	began := time.Now()
	startCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	if err := i.container.Start(startCtx); err != nil {
		stopWaiting()
		<-exit.Error
		output.Close()
		return errors.Join(err, i.log.Close())
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = stdcopy.StdCopy(i.log, i.log, output.Reader) // ends with the container, or with the engine
		i.log.EndLine()
	}()
	go func() {
		defer stopWaiting()
		var code int64
		var lost error
		select {
		case r := <-exit.Result:
			code = r.StatusCode
			if r.Error != nil {
				lost = errors.New(r.Error.Message)
			}
		case lost = <-exit.Error:
		}
		lived := time.Since(began)
		select {
		case <-drained:
		case <-time.After(drainTime):
		}
		output.Close()
		<-drained
		i.err = i.exitError(code, lived, lost)
		_ = i.log.Close() // the exit says what could not be written
		close(i.done)
	}()
	return nil
}

// exitError says how the container ended, in the words of a process's end.
func (i *instance) exitError(code int64, lived time.Duration, lost error) error {
	if lost != nil {
		return fmt.Errorf("the container of %s is lost after %v: %w", i.Name(), lived.Round(time.Millisecond), engine.Explain(lost))
	}
	e := &proc.ExitError{
		Name: i.Name(), Code: int(code), After: lived, Tail: i.log.Tail(), LogFile: i.log.File(), LogErr: i.log.FileError(),
	}
	// Shells and engines add 128 to the number of the signal.
	if code > 128 && code < 128+65 {
		e.Code, e.Signal = -1, syscall.Signal(code-128).String()
		if i.outOfMemory() {
			e.Signal += ", since the engine was out of memory for it"
		}
	}
	return e
}

func (i *instance) outOfMemory() bool {
	ctx, cancel := context.WithTimeout(i.unit.stack.alive, 2*time.Second)
	defer cancel()
	found, err := i.unit.stack.engine.ContainerInspect(ctx, i.id(), client.ContainerInspectOptions{})
	return err == nil && found.Container.State != nil && found.Container.State.OOMKilled
}

func (i *instance) id() string { return i.container.GetContainerID() }

// Name implements [fleet.Instance].
func (i *instance) Name() string { return fleet.Program(i.unit.service, i.unit.o.MailCatcher) }

// Done implements [fleet.Instance].
func (i *instance) Done() <-chan struct{} { return i.done }

// Err implements [fleet.Instance].
func (i *instance) Err() error {
	select {
	case <-i.done:
		return i.err
	default:
		return nil
	}
}

// Tail implements [fleet.Instance].
func (i *instance) Tail() []string { return i.log.Tail() }

// LogFile implements [fleet.Instance].
func (i *instance) LogFile() string { return i.log.File() }

// Look implements [fleet.Instance].
func (i *instance) Look(ctx context.Context) error {
	err := i.probe.Look(ctx)
	if err == nil {
		i.unit.identify(ctx, i.probe)
		return nil
	}
	if errors.Is(err, syscall.ECONNREFUSED) && inContainer() {
		return fmt.Errorf("%w; it runs, but this program runs in a container itself, where an engine outside publishes nothing: "+
			"run the tests on the engine's own machine, or %s", err, engine.Alternative)
	}
	return err
}

func inContainer() bool {
	_, err := os.Stat("/.dockerenv")
	return err == nil
}

// End implements [fleet.Instance].
func (i *instance) End(ctx context.Context, grace time.Duration) error {
	var err error
	if grace > 0 {
		err = i.container.Stop(ctx, &grace)
	} else {
		_, err = i.unit.stack.engine.ContainerKill(ctx, i.id(), client.ContainerKillOptions{Signal: "SIGKILL"})
	}
	if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) { // those say that it does not run
		return fmt.Errorf("stop the container of %s: %w", i.Name(), engine.Explain(err))
	}
	select {
	case <-i.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of %s: %w", i.Name(), context.Cause(ctx))
	}
}

// Pause implements [fleet.Instance]. The freezer of version 1 of Linux's control groups gives up where a process starts
// threads while it freezes them, and leaves all of them running: then the engine is asked again.
func (i *instance) Pause(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, freezeTime)
	defer cancel()
	var last error
	gaveUp := poll.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		_, last = i.unit.stack.engine.ContainerPause(ctx, i.id(), client.ContainerPauseOptions{})
		if last != nil && strings.Contains(last.Error(), "unable to freeze") {
			return last
		}
		return nil
	})
	if err := cmp.Or(gaveUp, last); err != nil {
		return fmt.Errorf("pause the container of %s: %w", i.Name(), engine.Explain(err))
	}
	return nil
}

// Resume implements [fleet.Instance].
func (i *instance) Resume(ctx context.Context) error {
	docker := i.unit.stack.engine
	if found, err := docker.ContainerInspect(ctx, i.id(), client.ContainerInspectOptions{}); err == nil && !found.Container.State.Paused {
		return nil
	}
	if _, err := docker.ContainerUnpause(ctx, i.id(), client.ContainerUnpauseOptions{}); err != nil {
		return fmt.Errorf("resume the container of %s: %w", i.Name(), engine.Explain(err))
	}
	return nil
}
