package property

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// A place is where apps run, one after another.
type place interface {
	pace() pace
	// start starts an app, and ends the one before it.
	start(ctx context.Context, p *player) error
	send(ctx context.Context, e harness.Event) (id string, err error)
	// settle waits until the app has come to rest, though something may still sleep.
	settle(ctx context.Context, p *player) error
	// early asks questions while the app works. answers returns, once all has ended, the verdicts that were final.
	early(ctx context.Context, id string, questions []harness.Expectation) (answers func() ([]answer, error))
	// finish waits until everything has ended.
	finish(ctx context.Context, p *player) error
	judge(ctx context.Context, id string, e harness.Expectation) (*harness.Verdict, error)
	// trace is what is known of an event, for questions that are compared with it.
	trace(ctx context.Context, id string) (*harness.Trace, error)
	close() error
}

// An answer is a verdict on a question.
type answer struct {
	expectation harness.Expectation
	verdict     *harness.Verdict
	when        string
}

// A bench is a Workbench for each app.
type bench struct{ w *simstack.Workbench }

func (b *bench) pace() pace { return pace{sleep: time.Hour, wait: 2 * time.Hour} }

func (b *bench) start(ctx context.Context, p *player) (err error) {
	if err := b.close(); err != nil {
		return err
	}
	b.w, err = simstack.NewWorkbench(ctx, p.handler, simstack.WorkbenchOptions{Sim: sim.Options{RetryInterval: time.Minute}})
	return err
}

func (b *bench) send(ctx context.Context, e harness.Event) (string, error) {
	return b.w.Sim().Send(ctx, e)
}
func (b *bench) settle(ctx context.Context, _ *player) error { return b.w.Sim().Settle(ctx) }
func (b *bench) finish(ctx context.Context, _ *player) error { return b.w.Sim().Run(ctx) }

func (b *bench) judge(ctx context.Context, id string, e harness.Expectation) (*harness.Verdict, error) {
	return b.w.Judge(ctx, id, e, judge.Options{})
}

func (b *bench) trace(ctx context.Context, id string) (*harness.Trace, error) {
	return b.w.Trace(ctx, id, people...)
}

// early compares the questions with what is known before anything was done, and when all has been done that is due.
func (b *bench) early(ctx context.Context, id string, questions []harness.Expectation) func() ([]answer, error) {
	var answers []answer
	look := func(when string) error {
		trace, err := b.trace(ctx, id)
		if err != nil {
			return err
		}
		for _, q := range questions {
			if j := judge.Compare(q, trace, judge.Options{}); j.Broken() || j.Holds() || j.Doubtful() {
				answers = append(answers, answer{q, j.Final(0, 0), when})
			}
		}
		return nil
	}
	err := errors.Join(look("before anything"), b.w.Sim().Settle(ctx), look("before time passes"))
	return func() ([]answer, error) { return answers, err }
}

func (b *bench) close() error {
	if b.w == nil {
		return nil
	}
	err := b.w.Close(context.Background())
	b.w = nil
	return err
}

// A stacked is a stack whose app is replaced by the next.
type stacked struct {
	p  pace
	st *stack.Stack
	// idle says whether the server has nothing left to do; nil: the app's account must say so.
	idle   func() bool
	player *player // of the app that runs
}

// onSim starts a stack on sim, whose clock jumps.
func onSim(ctx context.Context) (*stacked, error) {
	b := simstack.New(local.New(local.Options{}), simstack.Options{Pace: sim.Jump})
	st, err := stack.Start(ctx, b, stack.Options{RetryInterval: time.Second})
	if err != nil {
		return nil, err
	}
	p := pace{sleep: time.Hour, wait: 2 * time.Hour, linger: 5 * time.Millisecond}
	return &stacked{p: p, st: st, idle: func() bool { return b.Sim(st).Idle() }}, nil
}

// onServer starts a stack with the real server.
func onServer(ctx context.Context) (*stacked, error) {
	st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{RetryInterval: time.Second})
	if err != nil {
		return nil, err
	}
	return &stacked{p: pace{sleep: 500 * time.Millisecond, wait: 2 * time.Second, linger: 700 * time.Millisecond}, st: st}, nil
}

func (s *stacked) pace() pace { return s.p }

func (s *stacked) start(ctx context.Context, p *player) error {
	first := s.player == nil
	s.player = p
	if !first {
		return s.st.Restart(ctx, harness.ServiceApp)
	}
	return s.st.RunHandler(ctx, func(ctx context.Context, env harness.Env) (http.Handler, error) {
		return s.player.handler(ctx, env)
	})
}

func (s *stacked) send(ctx context.Context, e harness.Event) (string, error) {
	ids, err := s.st.Send(ctx, e)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// calm is how long the app must not have been called by the real server to be at rest: its event queue is read every 250 ms.
const calm = 1500 * time.Millisecond

func (s *stacked) settle(ctx context.Context, p *player) error {
	if s.idle != nil {
		return nil // its clock does not wait
	}
	return until(ctx, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.open == 0 && time.Since(p.last) > s.p.sleep/2
	})
}

func (s *stacked) finish(ctx context.Context, p *player) error {
	if s.idle != nil {
		return until(ctx, s.idle)
	}
	return until(ctx, func() bool { return p.atRest(calm) })
}

func until(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the app does not come to rest: %w", ctx.Err())
		}
	}
	return nil
}

// patience is how long a verdict may take.
const patience = 30 * time.Second

func (s *stacked) judge(ctx context.Context, id string, e harness.Expectation) (*harness.Verdict, error) {
	return s.st.Judge(ctx, id, e, stack.JudgeOptions{Timeout: patience})
}

func (s *stacked) trace(ctx context.Context, id string) (*harness.Trace, error) {
	return s.st.Trace(ctx, id, people...)
}

func (s *stacked) early(ctx context.Context, id string, questions []harness.Expectation) func() ([]answer, error) {
	answers := make([]answer, len(questions))
	errs := make([]error, len(questions))
	var all sync.WaitGroup
	for i, q := range questions {
		all.Go(func() {
			v, err := s.judge(ctx, id, q)
			answers[i], errs[i] = answer{q, v, "at once"}, err
		})
	}
	return func() ([]answer, error) {
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		// When its time is up before all has ended, a verdict says only what had not happened by then.
		return slices.DeleteFunc(answers, func(a answer) bool {
			return a.verdict.Outcome != harness.Holds && a.verdict.Took > patience
		}), nil
	}
}

func (s *stacked) close() error { return s.st.Close(context.Background()) }
