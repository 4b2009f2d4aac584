package explore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// EnvScratch names the environment variable with a directory that is empty when a schedule begins and outlives the app's
// death: a place for an app's database that is a file.
const EnvScratch = "HARNESS_SCRATCH"

// simRetries is the pause before a retry on a sim. It takes no time where the schedule waits for it. What comes before the retry must
// not depend on how long an app takes to start again.
const simRetries = time.Minute

// Program is a target with the app as a program, in any language, on a stack of its own: on sim ([simstack.Backend]), or on
// another backend's server, where retries take their time. For each schedule the program and Inngest are started anew, on an
// empty database, and the directory of [EnvScratch] and the mailbox are emptied.
func Program(backend harness.Backend, o stack.Options, c stack.Command) Target {
	_, onSim := backend.(*simstack.Backend)
	if o.RetryInterval == 0 {
		o.RetryInterval = map[bool]time.Duration{true: simRetries, false: time.Second}[onSim]
	}
	return Target{Name: "as a program, on the backend " + backend.Name(), command: c.Args, open: func(ctx context.Context) (_ env, err error) {
		scratch, err := os.MkdirTemp("", "explore-")
		if err != nil {
			return nil, err
		}
		e := &programEnv{backend: backend, command: c, scratch: scratch, options: o, onSim: onSim}
		e.command.Env = append(slices.Clip(c.Env), EnvScratch+"="+scratch)
		if e.stack, err = stack.Start(ctx, backend, o); err != nil {
			return nil, errors.Join(err, os.RemoveAll(scratch))
		}
		return e, nil
	}}
}

type programEnv struct {
	backend harness.Backend
	command stack.Command
	scratch string
	stack   *stack.Stack
	onSim   bool
	options stack.Options
	running bool
	begun   int // schedules

	mu   sync.Mutex
	sent []string
}

func (*programEnv) can() abilities {
	return abilities{kill: true, late: true, services: []harness.Service{harness.ServiceMailHog, harness.ServiceMongo, harness.ServiceInngest}}
}

// sim returns what stands in for the server; nil where there is a server, and while it is down.
func (e *programEnv) sim() *sim.Sim {
	if b, ok := e.backend.(*simstack.Backend); ok {
		return b.Sim(e.stack)
	}
	return nil
}

// begin starts the app anew, and where that fails the whole stack: a schedule must not spoil the next one.
func (e *programEnv) begin(ctx context.Context) error {
	again := e.running
	err := e.beginOnce(ctx)
	if err == nil || !again || ctx.Err() != nil {
		return err
	}
	if err := e.stack.Close(ctx); err != nil {
		return err
	}
	if e.stack, err = stack.Start(ctx, e.backend, e.options); err != nil {
		return err
	}
	e.running = false
	return e.beginOnce(ctx)
}

func (e *programEnv) beginOnce(ctx context.Context) error {
	e.mu.Lock()
	e.sent = nil
	e.mu.Unlock()
	if e.running {
		if err := e.stack.Kill(ctx, harness.ServiceApp); err != nil {
			return err
		}
		if err := e.stack.Restart(ctx, harness.ServiceInngest); err != nil {
			return err
		}
	}
	if err := e.empty(); err != nil {
		return err
	}
	e.begun++
	e.stack.App().UseDatabase(fmt.Sprintf("explore%d", e.begun))
	if err := e.stack.Inbox().Clear(ctx); err != nil {
		return err
	}
	if e.running {
		return withoutLog(e.stack.Start(ctx, harness.ServiceApp))
	}
	if err := e.stack.RunCommand(ctx, e.command); err != nil {
		return withoutLog(err)
	}
	e.running = true
	return nil
}

// wholeLog matches the line of an error that names the app's log. That file is removed with the stack's directory.
var wholeLog = regexp.MustCompile(`(?m)\nwhole log: .*$`)

func withoutLog(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(wholeLog.ReplaceAllString(err.Error(), ""))
}

// empty empties the scratch directory.
func (e *programEnv) empty() error {
	entries, err := os.ReadDir(e.scratch)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(e.scratch, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (e *programEnv) taps() *tap.Set { return e.stack.Taps() }

func (e *programEnv) config() harness.Env {
	config, _ := e.stack.Env() // it runs
	return config
}

func (e *programEnv) environ() []string {
	return append(e.config().Environ(), EnvScratch+"="+e.scratch)
}

func (e *programEnv) runHeader() string { return e.stack.Options().RunHeader }

func (e *programEnv) send(ctx context.Context, event harness.Event) (string, error) {
	ids, err := e.stack.Send(ctx, event)
	if err != nil {
		return "", err
	}
	e.note(ids[0])
	return ids[0], nil
}

func (e *programEnv) awaitEvent(ctx context.Context, key string) (string, error) {
	id, err := e.stack.AwaitEvent(ctx, key)
	if err == nil {
		e.note(id)
	}
	return id, err
}

func (e *programEnv) note(eventID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent = append(e.sent, eventID)
}

func (e *programEnv) noted() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.sent)
}

// A server, unlike a sim, does not say when it has nothing left to do. It has nothing due at this instant when nothing has
// passed the taps for some time, and nothing before its next retry when that time is longer than retries take.
const (
	serverSettles = 500 * time.Millisecond
	serverRests   = 15 * time.Second
)

func (e *programEnv) settle(ctx context.Context) error {
	if e.onSim {
		return e.drive(ctx, (*sim.Sim).Settle)
	}
	return e.awaitSilence(ctx, 0, serverSettles)
}

// drive drives the Sim, and the one that replaces it if it is killed meanwhile.
func (e *programEnv) drive(ctx context.Context, f func(*sim.Sim, context.Context) error) error {
	for {
		s := e.sim()
		if s == nil { // it is being started
			if err := poll.Until(ctx, restPoll, func(context.Context) error {
				if e.sim() == nil {
					return errors.New("the Inngest server has not come back")
				}
				return nil
			}); err != nil {
				return err
			}
			continue
		}
		if err := f(s, ctx); !errors.Is(err, sim.ErrClosed) {
			return err
		}
	}
}

func (e *programEnv) run(ctx context.Context) error {
	if e.onSim {
		return e.drive(ctx, (*sim.Sim).Run)
	}
	silence, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := make(chan error, 1)
	go func() { quiet <- e.awaitSilence(silence, len(e.taps().OpenCalls()), serverRests) }()
	for {
		over := true
		for _, id := range e.noted() {
			t, err := e.stack.Trace(ctx, id)
			over = over && err == nil && t.Quiet
		}
		if over {
			return nil
		}
		select {
		case err := <-quiet:
			return err
		case <-time.After(serverSettles / 10):
		}
	}
}

func (e *programEnv) awaitResting(ctx context.Context, held int) error {
	if e.onSim {
		return e.drive(ctx, func(s *sim.Sim, ctx context.Context) error { return awaitResting(ctx, s, held) })
	}
	return e.awaitSilence(ctx, held, serverSettles)
}

// awaitSilence returns when nothing has passed the taps for some time, and no more calls are open.
func (e *programEnv) awaitSilence(ctx context.Context, calls int, long time.Duration) error {
	last, since := e.taps().Last(), time.Now()
	return poll.Until(ctx, long/20, func(context.Context) error {
		if now := e.taps().Last(); now != last {
			last, since = now, time.Now()
		}
		if len(e.taps().OpenCalls()) > calls || time.Since(since) < long {
			return errBusy
		}
		return nil
	})
}

func (e *programEnv) kill(ctx context.Context, dead func()) error {
	if s := e.sim(); s != nil {
		s.Pause()
		defer s.Resume()
	}
	if err := e.stack.Kill(ctx, harness.ServiceApp); err != nil {
		return err
	}
	dead()
	return e.stack.Start(ctx, harness.ServiceApp)
}

func (e *programEnv) restart(ctx context.Context, name harness.Service) error {
	if s := e.sim(); s != nil && name != harness.ServiceInngest {
		s.Pause()
		defer s.Resume()
	}
	if err := e.stack.Kill(ctx, name); err != nil {
		return err
	}
	return e.stack.Start(ctx, name)
}

// trace returns the trace once nothing more can happen, which the server may show a little later.
func (e *programEnv) trace(ctx context.Context, eventID string, recipients []string) (t *harness.Trace, err error) {
	wait, cancel := context.WithTimeout(ctx, serverRests)
	defer cancel()
	notQuiet := poll.Until(wait, restPoll, func(context.Context) error {
		if t, err = e.stack.Trace(ctx, eventID, recipients...); err == nil && !t.Quiet && !startsNothing(t) {
			return fmt.Errorf("more may happen: %s", t.Unquiet)
		}
		return err
	})
	if t == nil {
		return nil, notQuiet
	}
	return t, nil // one that is not quiet cannot be judged
}

func (e *programEnv) mail(ctx context.Context) ([]*harness.Message, error) {
	return e.stack.Inbox().List(ctx)
}

func (e *programEnv) close(ctx context.Context) error {
	return errors.Join(e.stack.Close(ctx), os.RemoveAll(e.scratch))
}
