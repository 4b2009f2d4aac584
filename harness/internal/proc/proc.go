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
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
)

const (
	// mark is the environment variable that all descendants of a child inherit, with a value of that child's own.
	mark = "HARNESS_PROC"

	// drainTime bounds how long the output is read after the child's group is dead. Only a process that got away
	// can hold the pipe open that long.
	drainTime = 250 * time.Millisecond

	// killTime bounds the wait for a killed group. The system ends killed processes at once, unless they hang in
	// the kernel.
	killTime = 5 * time.Second
)

// Spec says what to run. Name and Path are required.
type Spec struct {
	Name string   // what messages call it
	Path string   // program: a path, or a name to look up in PATH
	Args []string // arguments, without the program itself
	Dir  string   // working directory; empty: the caller's

	// Env is the complete environment, as KEY=VALUE; nothing is inherited. HARNESS_PROC is added.
	Env []string

	// LogFile is where all output is appended, standard output and standard error in the order of their writing;
	// empty: nowhere. It is created when missing, its folder is not.
	LogFile string

	// TailLines is how many lines of output are kept in memory; 0: 200.
	TailLines int

	// Redact is given every line of output, without its line end, and returns what is logged, kept and handed on of it.
	// It is called as OnLine is. Of lines over 64 KiB it gets pieces. Nil: all of it.
	Redact func(line string) string

	// OnLine is called with every line of output, without its line end, one call at a time. While it runs no output
	// is read, so one that blocks for long blocks the child. It must not call Stop. May be nil.
	OnLine func(line string)
}

// Process is a running child, or one that has ended. Its methods are safe for concurrent use. Whoever started it calls
// Stop or Kill, also when it has ended by itself; both may be called again.
type Process struct {
	spec    Spec
	id      string // value of mark
	cmd     *exec.Cmd
	started time.Time
	output  *output
	watch   *watchdog
	deaf    bool // started with interrupts ignored

	mu    sync.Mutex
	asked bool // Stop or Kill was called before the child ended

	force     chan struct{} // closed when what is left is not to be waited for any more
	forceOnce sync.Once

	done chan struct{}
	err  error // written before done is closed
}

// Start starts the program. ctx bounds the start alone: the child outlives it.
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
		// The system would say of the program that it is not there.
		if _, err := os.Stat(s.Dir); err != nil {
			return nil, fmt.Errorf("its working directory: %w", err)
		}
	}
	p := &Process{
		spec:  s,
		id:    rand.Text(),
		force: make(chan struct{}),
		done:  make(chan struct{}),
	}
	p.cmd = exec.Command(s.Path, s.Args...)
	p.cmd.Dir = s.Dir
	p.cmd.Env = append(without(s.Env, mark), mark+"="+p.id)
	p.cmd.SysProcAttr = ownGroup()

	write, err := p.openOutput()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	p.cmd.Stdout, p.cmd.Stderr = write, write

	// The watchdog is there first: from the child's first moment on, somebody outlives us.
	if p.watch, err = startWatchdog(p.id); err != nil {
		p.output.close()
		return nil, err
	}
	// A child inherits what we ignore: in a script's background jobs that is the interrupt.
	p.deaf = signal.Ignored(os.Interrupt)
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		p.watch.release()
		p.output.close()
		return nil, err
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
		book: logbook.New(logbook.Options{File: p.spec.LogFile, Lines: p.spec.TailLines, OnLine: p.spec.OnLine}),
	}
	if err := p.output.book.Open(); err != nil {
		return nil, fmt.Errorf("open its log file: %w", err)
	}
	// A pipe of our own, rather than an io.Writer handed to exec: its Wait would not return before the last
	// descendant has closed its standard output.
	read, write, err := os.Pipe()
	if err != nil {
		p.output.close()
		return nil, fmt.Errorf("make a pipe for its output: %w", err)
	}
	p.output.pipe = read
	return write, nil
}

// supervise sees the child through its end: it leaves nothing of it behind, then tells.
func (p *Process) supervise() {
	// The state holds all that Wait's error could tell.
	_ = p.cmd.Wait()
	lived := time.Since(p.started)

	p.mu.Lock()
	asked := p.asked
	p.mu.Unlock()
	if asked {
		// The child may be a wrapper that ends before the program it wraps, which has the same time to end well.
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

// awaitGroup waits until the child's group is empty, or is to be killed.
func (p *Process) awaitGroup() {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for groupAlive(p.PID()) {
		select {
		case <-ticker.C:
		case <-p.force:
			return
		}
	}
}

// Stop asks the child's group to end (an interrupt), waits up to grace, and kills what is left; when ctx ends earlier
// it kills then. It returns when nothing is left. A child that has ended before is no error, nor is one that had to be
// killed; the error is that processes survived even that.
//
// Every caller waits with a grace of its own, and the shortest counts. The group is interrupted once. Where this process
// ignored interrupts when the child was started, and the child with it, it is asked to terminate instead.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	if p.ask() {
		interruptGroup(p.PID(), p.deaf)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return p.kill()
}

// Kill ends the child's group at once, as a crash would, and returns when nothing is left of it. Like Stop it makes no
// error of the child's end.
func (p *Process) Kill() error {
	p.ask()
	return p.kill()
}

// ask notes that the end of the child is wanted, and reports whether this is news.
func (p *Process) ask() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
	}
	p.asked = true
	return true
}

func (p *Process) kill() error {
	p.forceOnce.Do(func() { close(p.force) })
	select {
	case <-p.done: // its process id may be another's by now
		return nil
	default:
		killGroup(p.PID())
	}
	timer := time.NewTimer(killTime)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("%s (process %d) is still there %v after it was killed", p.spec.Name, p.PID(), killTime)
	}
}

// Pause stops the child's group in its tracks, until Resume. A stop works on a paused child too.
func (p *Process) Pause() error {
	if err := p.signal(pauseGroup); err != nil {
		return fmt.Errorf("pause %s: %w", p.spec.Name, err)
	}
	return nil
}

// Resume lets a paused group go on. It does nothing to one that is not paused.
func (p *Process) Resume() error {
	if err := p.signal(resumeGroup); err != nil {
		return fmt.Errorf("resume %s: %w", p.spec.Name, err)
	}
	return nil
}

func (p *Process) signal(send func(pid int) error) error {
	select {
	case <-p.done:
		return errors.New("it has ended")
	default:
		return send(p.PID())
	}
}

// Done is closed when the child has ended, nothing of it is left, and its output is complete.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns nil until Done is closed. After that, an *ExitError when the child ended by itself, with whatever status,
// and nil when Stop or Kill ended it.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Tail returns the last lines of output, oldest first, without their line ends. Lines over 64 KiB are cut.
func (p *Process) Tail() []string { return p.output.book.Tail() }

// PID returns the process id of the child, which is the id of its group too.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Name returns Spec.Name.
func (p *Process) Name() string { return p.spec.Name }

// LogFile returns Spec.LogFile.
func (p *Process) LogFile() string { return p.spec.LogFile }

// without returns a copy of env that has no entry for key.
func without(env []string, key string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
}
