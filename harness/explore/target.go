package explore

import (
	"context"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// A Target is where schedules run: an app, and what it needs. [InProcess] and [Program] return one.
type Target struct {
	// Name says in a word where it is, as in "in process".
	Name string
	// open starts one. Each schedule has it alone; several are open at a time.
	open func(ctx context.Context) (env, error)
	// command runs an app as a program; empty in process.
	command []string
}

// abilities are what can be done to an app.
type abilities struct {
	kill     bool
	late     bool              // calls can be given up: they pass a tap
	services []harness.Service // that can be killed and started again
	// without says why what is missing is missing.
	without []string
}

// env is an open target. Its methods are called by one goroutine at a time, but for those that a fault calls while settle or
// run waits: kill, restart, send and awaitResting.
type env interface {
	can() abilities
	// begin makes the app a clean one, which knows nothing of earlier schedules.
	begin(ctx context.Context) error
	taps() *tap.Set
	// config is that of the app, environ what a program on its side gets beside this process's environment.
	config() harness.Env
	environ() []string
	// runHeader is the header of an email that names the run that sent it.
	runHeader() string

	send(ctx context.Context, e harness.Event) (eventID string, err error)
	// awaitEvent waits until the app has sent an event with an idempotency key.
	awaitEvent(ctx context.Context, key string) (eventID string, err error)
	// settle returns when nothing is left to do at this instant, run when nothing is left to do at all: it lets time pass.
	settle(ctx context.Context) error
	run(ctx context.Context) error
	// awaitResting returns when nothing is left to do at this instant while so many calls are held.
	awaitResting(ctx context.Context, held int) error
	// kill kills the app, calls dead, and starts it again. restart does the same with a server. Inngest begins no call meanwhile.
	kill(ctx context.Context, dead func()) error
	restart(ctx context.Context, name harness.Service) error

	// trace returns what followed from an event, mail all emails since begin.
	trace(ctx context.Context, eventID string, recipients []string) (*harness.Trace, error)
	mail(ctx context.Context) ([]*harness.Message, error)
	close(ctx context.Context) error
}
