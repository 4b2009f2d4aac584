package explore

import (
	"cmp"
	"context"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// restPoll is how often it is asked whether anything is left to do.
const restPoll = time.Millisecond

// InProcess is a target in this process: the app is made anew for each schedule, on a [simstack.Workbench].
func InProcess(app stack.HandlerFunc, o simstack.WorkbenchOptions) Target {
	return Target{Name: "in process", open: func(context.Context) (env, error) { return &workbenchEnv{app: app, o: o}, nil }}
}

type workbenchEnv struct {
	app stack.HandlerFunc
	o   simstack.WorkbenchOptions
	*simstack.Workbench
}

func (*workbenchEnv) can() abilities {
	return abilities{late: true, without: []string{
		"the app's death: it runs in this process; explore it as a program",
		"faults of servers: there are none in this process",
	}}
}

func (e *workbenchEnv) begin(ctx context.Context) (err error) {
	if err := e.close(ctx); err != nil {
		return err
	}
	if e.Workbench, err = simstack.NewWorkbench(ctx, e.app, e.o); err != nil {
		e.Workbench = nil
		return err
	}
	e.Sim().RunInBackground(sim.WallClock)
	return nil
}

func (e *workbenchEnv) taps() *tap.Set      { return e.Taps() }
func (e *workbenchEnv) config() harness.Env { return e.Env() }
func (e *workbenchEnv) environ() []string   { return e.Env().Environ() }

func (e *workbenchEnv) runHeader() string { return cmp.Or(e.o.RunHeader, harness.DefaultRunHeader) }

func (e *workbenchEnv) send(ctx context.Context, event harness.Event) (string, error) {
	return e.Sim().Send(ctx, event)
}

func (e *workbenchEnv) awaitEvent(ctx context.Context, key string) (string, error) {
	return e.AwaitEvent(ctx, key)
}

func (e *workbenchEnv) settle(ctx context.Context) error { return e.Sim().Settle(ctx) }
func (e *workbenchEnv) run(ctx context.Context) error    { return e.Sim().Run(ctx) }

func (e *workbenchEnv) awaitResting(ctx context.Context, held int) error {
	return awaitResting(ctx, e.Sim(), held)
}

// awaitResting waits until a Sim has nothing to do at this instant beside held calls.
func awaitResting(ctx context.Context, s *sim.Sim, held int) error {
	return poll.Until(ctx, restPoll, func(context.Context) error {
		if !s.Resting(held) {
			return errBusy
		}
		return nil
	})
}

func (*workbenchEnv) kill(context.Context, func()) error             { return harness.ErrUnsupported }
func (*workbenchEnv) restart(context.Context, harness.Service) error { return harness.ErrUnsupported }

func (e *workbenchEnv) trace(ctx context.Context, eventID string, recipients []string) (*harness.Trace, error) {
	return e.Trace(ctx, eventID, recipients...)
}

func (e *workbenchEnv) mail(ctx context.Context) ([]*harness.Message, error) { return e.Mail(ctx) }

func (e *workbenchEnv) close(ctx context.Context) error {
	if e.Workbench == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	return e.Close(ctx)
}

// closeTimeout is how long an app may take to end that still works on something.
const closeTimeout = 5 * time.Second
