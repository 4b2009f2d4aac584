package proc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
)

const (
	// mark is an environment variable that all descendants of a child inherit. Its value is unique to the child.
	mark = "HARNESS_PROC"

	// drainTime bounds how long the output is read after the child's group has ended. Only a process that left the group
	// can hold the pipe open that long.
	drainTime = 250 * time.Millisecond

	// killTime bounds the wait for a killed group, which ends at once unless a process hangs in the kernel.
	killTime = 5 * time.Second
)

// Spec says what to run. Name and Path are required.
type Spec struct {
	Name string   // what messages call it
	Path string   // program: a path, or a name to look up in PATH
	Args []string // arguments, without the program itself
	Dir  string   // working directory; empty: the caller's
	User string   // runs it as this user, which only root may; empty: the caller
	Low  bool     // runs it, and what it starts, at the lowest priority

	// Env is the complete environment, as KEY=VALUE; nothing is inherited. HARNESS_PROC is added.
	Env []string

	// LogFile is the file that all output is appended to, standard output and standard error in the order of writing.
	// It is created when missing; its folder is not. Empty: none.
	LogFile string

	// Redact receives every line of output, without its line end, and returns what is logged, kept and passed to OnLine.
	// It is called as OnLine is. It receives lines over 64 KiB in pieces. Nil: nothing is redacted.
	Redact func(line string) string

	// OnLine is called with every line of output, without its line end, by one goroutine. No output is read while it
	// runs, so blocking it blocks the child. It must not call Stop. May be nil.
	OnLine func(line string)
}

// Process is a child that runs or has ended. Its methods are safe for concurrent use. Stop must be called, also when
// it has ended without being told to; it may be called again.
type Process struct {
	spec             Spec
	id               string // value of mark
	cmd              *exec.Cmd
	started          time.Time
	output           *output
	watch            *watchdog
	ignoresInterrupt bool // as this process did when it was started

	asked atomic.Bool // Stop was called before the child ended

	force      context.Context // ends when the rest of the group is to be killed
	forceGroup context.CancelFunc

	done chan struct{}
	err  error // written before done is closed
}

// Start starts the program. ctx bounds the start only: the child outlives it.
func Start(ctx context.Context, s Spec) (*Process, error) {
	p, err := start(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	return p, nil
}

func start(ctx context.Context, s Spec) (_ *Process, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.Dir != "" {
		// The system would report that the program does not exist.
		if _, err := os.Stat(s.Dir); err != nil {
			return nil, fmt.Errorf("its working directory: %w", err)
		}
	}
	p := &Process{spec: s, id: rand.Text(), done: make(chan struct{})}
	p.force, p.forceGroup = context.WithCancel(context.Background())
	p.cmd = exec.Command(s.Path, s.Args...)
	p.cmd.Dir = s.Dir
	isMark := func(kv string) bool { return strings.HasPrefix(kv, mark+"=") }
	p.cmd.Env = append(slices.DeleteFunc(slices.Clone(s.Env), isMark), mark+"="+p.id)
	if p.cmd.SysProcAttr, err = ownGroup(s.User, s.Low); err != nil {
		return nil, err
	}

	write, err := p.openOutput()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	p.cmd.Stdout, p.cmd.Stderr = write, write

	// The watchdog is started first, so that the child is guarded from its beginning.
	if p.watch, err = startWatchdog(p.id); err != nil {
		p.output.close()
		return nil, err
	}
	// A child inherits ignored signals: background jobs of a script ignore the interrupt.
	p.ignoresInterrupt = signal.Ignored(os.Interrupt)
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		p.watch.release()
		p.output.close()
		return nil, err
	}
	if s.Low {
		lowerGroup(p.cmd.Process.Pid)
	}
	p.watch.guard(p.cmd.Process.Pid)
	go p.output.pump()
	go p.supervise()
	return p, nil
}

// openOutput prepares the log and the pipe, and returns the end that the child writes to.
func (p *Process) openOutput() (*os.File, error) {
	p.output = &output{
		redact: p.spec.Redact, drained: make(chan struct{}),
		book: logbook.New(logbook.Options{File: p.spec.LogFile, OnLine: p.spec.OnLine}),
	}
	if err := p.output.book.Open(); err != nil {
		return nil, fmt.Errorf("open its log file: %w", err)
	}
	// With an io.Writer, exec's Wait would not return before the last descendant has closed its standard output.
	read, write, err := os.Pipe()
	if err != nil {
		p.output.close()
		return nil, fmt.Errorf("make a pipe for its output: %w", err)
	}
	p.output.pipe = read
	return write, nil
}

// supervise waits for the child's exit, kills what is left of its group, and closes done.
func (p *Process) supervise() {
	// ProcessState has all that Wait's error says.
	_ = p.cmd.Wait()
	lived := time.Since(p.started)

	asked := p.asked.Load()
	if asked {
		// The child may be a wrapper that ends before the program that it wraps, which has the same grace.
		p.awaitGroup()
	}
	killGroup(p.PID())
	killMarked(p.id)

	p.output.drain(drainTime)
	p.watch.release()
	if !asked {
		p.err = newExitError(p.spec, p.cmd.ProcessState, lived, p.output)
	}
	close(p.done)
}

// awaitGroup waits until the child's group is empty or is to be killed.
func (p *Process) awaitGroup() {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for groupAlive(p.PID()) {
		select {
		case <-ticker.C:
		case <-p.force.Done():
			return
		}
	}
}

// Stop interrupts the child's group, waits up to grace, and kills what is left; when ctx ends earlier it kills then. With a
// grace of zero it only kills, immediately, as a crash would. It returns when nothing is left. It is no error that the child has ended before or had to be killed; the error is that processes
// survived even that.
//
// The group is interrupted once, with SIGTERM where the child ignores interrupts because this process did when it was
// started. Of concurrent calls, the one with the shortest grace decides.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	if p.ask() && grace > 0 {
		interruptGroup(p.PID(), p.ignoresInterrupt)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
	case <-ctx.Done():
	}
	p.forceGroup()
	if over(p.done) { // another process may have its id by now
		return nil
	}
	killGroup(p.PID())
	select {
	case <-p.done:
		return nil
	case <-time.After(killTime):
		return fmt.Errorf("%s (process %d) is still there %v after it was killed", p.spec.Name, p.PID(), killTime)
	}
}

// ask records that the child has been told to end, and reports whether it had not been before.
func (p *Process) ask() bool { return !over(p.done) && p.asked.CompareAndSwap(false, true) }

// Pause freezes the child's group until Resume. Stop works on a paused child too.
func (p *Process) Pause() error {
	return p.signal("pause", pauseGroup)
}

// Resume continues a paused group. It does nothing to one that is not paused.
func (p *Process) Resume() error {
	return p.signal("resume", resumeGroup)
}

func (p *Process) signal(doing string, send func(pid int) error) error {
	err := errors.New("it has ended")
	if !over(p.done) {
		err = send(p.PID())
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, p.spec.Name, err)
	}
	return nil
}

// Done is closed when the child has ended, nothing of it is left, and its output is complete.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns nil until Done is closed. After that, it returns an *ExitError when the child ended without being told to, with
// any status, and nil when Stop ended it.
func (p *Process) Err() error {
	if over(p.done) {
		return p.err
	}
	return nil
}

// Tail returns the last 200 lines of output, oldest first, without their line ends. Lines over 64 KiB are cut.
func (p *Process) Tail() []string { return p.output.book.Tail() }

// PID returns the process id of the child, which is the id of its group too.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Name returns Spec.Name.
func (p *Process) Name() string { return p.spec.Name }

// LogFile returns Spec.LogFile.
func (p *Process) LogFile() string { return p.spec.LogFile }
