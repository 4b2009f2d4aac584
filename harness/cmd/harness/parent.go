package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// startedBy is the process that started this one, or, where that has ended already, the init process, which adopts orphans.
var startedBy = os.Getppid()

// parentFlag is the value of --exit-with-parent: the id of a process, standardInput, or 0 for none.
type parentFlag int

// The values of the flag that are no id, the first of which is that of the flag alone.
const (
	directParent  = "parent"
	standardInput = -1
)

// Set implements pflag.Value.
func (p *parentFlag) Set(value string) error {
	switch pid, err := strconv.Atoi(value); {
	case value == directParent && startedBy <= 1:
		// An orphan is a child of process 1. In a container that may be the process that started it.
		return errors.New("its parent is process 1, so the one that started it may have ended already: name that, as in --exit-with-parent=4711")
	case value == directParent:
		*p = parentFlag(startedBy)
	case value == "stdin":
		*p = standardInput
	case err != nil || pid < 1:
		return errors.New("it takes the id of a process, or stdin, behind =")
	default:
		*p = parentFlag(pid)
	}
	return nil
}

// String implements pflag.Value.
func (p *parentFlag) String() string { return strconv.Itoa(int(*p)) }

// Type implements pflag.Value.
func (*parentFlag) Type() string { return "PID" }

// await returns the reason of the end that p asks for, or nil when ctx ends before.
func (p *parentFlag) await(ctx context.Context, in io.Reader) error {
	if *p == standardInput {
		_, _ = io.Copy(io.Discard, in)
		return fmt.Errorf("standard input %w", errOrphaned)
	}
	if proc.AwaitExit(ctx, int(*p)) != nil {
		return nil
	}
	return fmt.Errorf("process %d %w", *p, errOrphaned)
}

// errOrphaned is the cause of an end.
var errOrphaned = errors.New("has ended, and this stack with it")

// How long a stack has to end gracefully whose parent has ended, and after what time it is killed, whatever hangs.
const (
	orphanStop = time.Second
	orphanKill = 1500 * time.Millisecond
)

// withParent returns a context that ends, because of errOrphaned, when what p names does. From then on this process has
// orphanKill to end.
func withParent(ctx context.Context, std stdio, p parentFlag) (context.Context, context.CancelFunc) {
	// A parent that ends takes the reader of this process's output with it, which must not end it at once.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		why := p.await(ctx, std.in)
		if why == nil {
			return
		}
		cancel(why)
		time.AfterFunc(orphanKill, func() { os.Exit(exitKilled) }) // the watchdogs of app and servers then kill them
	}()
	return ctx, func() { cancel(nil) }
}
