package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// Command is an app that runs as a program, in any language, and listens on the port in its variable PORT.
type Command struct {
	// Args are the program and its arguments. Required.
	Args []string
	// Dir is the working directory. Empty: that of this process.
	Dir string
	// Env holds further variables as "KEY=value". They take precedence over those of the stack.
	Env []string
	// OnLine receives each line of output, without secrets; nil drops them. All lines are in app.log in the stack's
	// directory.
	OnLine func(line string)
	// StartTimeout bounds the time until the program answers, which for a wrapper such as `go run` includes a build.
	// Zero: 60 s.
	StartTimeout time.Duration
}

// appStartTimeout is the default of Command.StartTimeout.
const appStartTimeout = 60 * time.Second

// commandRunner runs an app as a program.
type commandRunner struct {
	Command
	env     harness.Env
	ready   readiness
	logFile string
	redact  func(line string) string
	process *proc.Process
	printed *transcript
}

func (r *commandRunner) start(ctx context.Context) error {
	p, err := proc.Start(ctx, proc.Spec{
		Name: "app", Path: r.Args[0], Args: r.Args[1:], Dir: r.Dir,
		Env: environ(r.env, r.Env), LogFile: r.logFile, Redact: r.redact, OnLine: r.addLine,
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", strings.Join(r.Args, " "), err)
	}
	r.process = p
	ctx, cancel := context.WithTimeout(ctx, r.StartTimeout)
	defer cancel()
	err = p.WaitReady(ctx, r.ready.check)
	if late := (*proc.NotReadyError)(nil); errors.As(err, &late) && ctx.Err() != nil {
		late.What = fmt.Sprintf("%s has been running for %v without %s", strings.Join(r.Args, " "), r.StartTimeout, r.ready.what)
		ports := port.OfGroup(p.PID())
		switch want, _ := strconv.Atoi(r.ready.port); {
		case want == 0 || slices.Contains(ports, want): // it does not answer there
		case len(ports) > 0:
			late.What += fmt.Sprintf(" (it listens on %s: have it listen on that of PORT)", strings.Trim(fmt.Sprint(ports), "[]"))
		default:
			late.What += " (an app that connects to Inngest takes --connect; in Go, stack.Options.Connect)"
		}
	}
	return err
}

// addLine keeps a line and passes it on.
func (r *commandRunner) addLine(line string) {
	r.printed.add(line)
	if r.OnLine != nil {
		r.OnLine(line)
	}
}

// readiness is when a program that has started is ready: when check returns nil. what says what it has done then, as in
// "answering". port is the one on which it is to answer; empty: none.
type readiness struct {
	what  string
	port  string
	check func(context.Context) error
}

// readiness returns that of an incarnation that is about to start.
func (s *Stack) readiness(env harness.Env) readiness {
	if s.options.Connect {
		began := time.Now()
		return readiness{"connecting to the Inngest server", "", func(ctx context.Context) error { return s.connected(ctx, began, 1) }}
	}
	_, want, _ := net.SplitHostPort(env.Addr)
	url := "http://" + env.Addr + s.options.AppPath
	what := fmt.Sprintf("answering on port %s, the one in its environment variable PORT", want)
	return readiness{what, want, func(ctx context.Context) error { return answers(ctx, url) }}
}

// answers returns nil when the app answers HTTP, with any status: the sync finds out whether it serves functions, and has
// better errors.
func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (r *commandRunner) stop(ctx context.Context, grace time.Duration) error {
	if r.process == nil {
		return nil
	}
	return r.process.Stop(ctx, grace)
}

func (r *commandRunner) pause() error                 { return r.process.Pause() }
func (r *commandRunner) resume() error                { return r.process.Resume() }
func (r *commandRunner) tail() []string               { return r.process.Tail() }
func (r *commandRunner) log(since time.Time) []string { return r.printed.since(since) }
func (r *commandRunner) done() <-chan struct{}        { return r.process.Done() }
func (r *commandRunner) err() error                   { return r.process.Err() }

// A transcript keeps the last lines that a program printed, with their times.
type transcript struct {
	mu    sync.Mutex
	lines []printedLine
}

type printedLine struct {
	at   time.Time
	text string
}

// maxLines is how many lines a transcript keeps.
const maxLines = 2000

func (t *transcript) add(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == maxLines {
		t.lines = slices.Delete(t.lines, 0, maxLines/4)
	}
	t.lines = append(t.lines, printedLine{time.Now(), text})
}

func (t *transcript) since(at time.Time) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var texts []string
	for _, l := range t.lines {
		if !l.at.Before(at) {
			texts = append(texts, l.text)
		}
	}
	return texts
}
