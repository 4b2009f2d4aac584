package faults_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// The app's times: short enough for a test to wait for, and long enough that a busy machine does not look like a fault. A phase of a delivery, such as waiting for the server to accept the message, may take a third of mailTimeout.
const (
	mailTimeout     = 6 * time.Second
	phase           = mailTimeout / 3
	redispatchAfter = 5 * time.Second
)

// program is the app as a program, which can be killed. TestMain sets its path.
var program = &stack.Command{
	Env: []string{
		"MAIL_TIMEOUT=" + mailTimeout.String(),
		"REDISPATCH_AFTER=" + redispatchAfter.String(),
		"GORACE=halt_on_error=1", // where the tests run with -race, the app does too
	},
}

var suite = harnesstest.New(harnesstest.Options{
	Backends:    testenv.Backends(),
	Default:     []string{"local"},
	Unsupported: map[string]string{"attach": "they stop and kill servers and the app, which tests must not do on an attached stack"},
	Command:     program,
})

// matrix gathers the results of the rows.
var matrix table

func TestMain(m *testing.M) {
	testenv.RunProgram()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if err := setParallel(); err != nil {
		return fail(err)
	}
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	path, err := testenv.Program(dir)
	if err != nil {
		return fail(err)
	}
	program.Args = []string{path}

	code := suite.Main(m)
	if err := output(); err != nil {
		return fail(err)
	}
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "faults:", err)
	return 1
}

// rowsAtOnce is how many rows may run at once. They wait most of the time: for retries, leases and timeouts.
const rowsAtOnce = 12

// sideBySide sets -parallel, which is the number of processors by default.
func setParallel() error {
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if chosen {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(rowsAtOnce))
}

// output prints and saves the matrix if the environment asks for it.
func output() error {
	if len(matrix.results) == 0 {
		return nil
	}
	var errs []error
	if testing.Verbose() || os.Getenv("HARNESS_TABLE") == "1" {
		errs = append(errs, matrix.print(os.Stdout))
	}
	if dir := os.Getenv(report.Variable); dir != "" {
		errs = append(errs, matrix.save(dir))
	}
	return errors.Join(errs...)
}

// row is one fault of the matrix.
type row struct {
	fault   string
	promise promise
	// happen creates requests and makes the fault happen to them. Every fault that it injects must act.
	happen func(e *env)
	// promised describes the promises if single requests have their own. Empty: promise.
	promised string
}

// A group is the rows that run on one stack.
type group struct {
	name string
	// alone: the rows break things that other rows need. They get a stack of their own and run one after the other.
	// The rows of the other groups share a stack and run concurrently.
	alone bool
	// env are further variables for the app of a group that is alone.
	env  []string
	rows []row
}

var groups = []group{
	{name: "smtp", rows: smtpRows},
	{name: "mail server", alone: true, rows: mailServerRows},
	{name: "database", alone: true, rows: databaseRows},
	{name: "inngest", alone: true, rows: inngestRows},
	{name: "app frozen", alone: true, rows: appRows},
	{name: "events", rows: eventRows},
	{name: "calls and events", alone: true, rows: callRows},
	// In a burst a long wait does not mean that a run is lost or a delivery stalled.
	{name: "burst", alone: true, env: []string{"REDISPATCH_AFTER=5m", "CONFIRM_AFTER=5m", "MAIL_TIMEOUT=30s"}, rows: burstRows},
}

func TestFaultMatrix(t *testing.T) {
	index := 0
	for _, g := range groups {
		first := index
		index += len(g.rows)
		rows := func(t *harnesstest.T) {
			for i, r := range g.rows {
				t.Run(r.fault, func(t *harnesstest.T) {
					if !g.alone {
						t.Parallel()
					}
					r.run(t.T, t.Stack, first+i)
				})
			}
		}
		t.Run(g.name, func(t *testing.T) {
			if g.alone {
				suite.RunAlone(t, func(o *stack.Options) { o.AppEnv = g.env }, rows)
			} else {
				suite.Run(t, rows)
			}
		})
	}
}

// run makes the fault happen and checks the outcomes against the promise.
func (r row) run(t *testing.T, st *stack.Stack, index int) {
	res := result{report.Fault{
		Fault: r.fault, Backend: st.Backend(), Promised: cmp.Or(r.promised, r.promise.String()), Happened: "the row did not end",
	}, index}
	t.Cleanup(func() {
		res.Kept = !t.Failed()
		matrix.add(res)
	})
	e := newEnv(t, st)
	defer e.logDeliveries()
	began := time.Now()
	r.happen(e)
	e.waitSettled()
	res.Took = harness.Duration(time.Since(began))
	e.waitQuiet()

	outcomes := e.outcomes()
	res.Happened = summary(outcomes)
	for i, o := range outcomes {
		if err := e.promiseOf(i, r.promise).check(o); err != nil {
			t.Error(err)
		}
	}
	for _, fault := range e.faults {
		if fault.Applied() == 0 {
			t.Errorf("the fault never acted: %s", fault.name)
		}
	}
	e.nextRequestSucceeds()
}

// summary is what happened to all requests of a row.
func summary(outcomes []outcome) string {
	if len(outcomes) == 1 {
		return outcomes[0].String()
	}
	sent, copied, failed, open := 0, 0, 0, 0
	for _, o := range outcomes {
		switch o.request.Notification.State {
		case app.Sent:
			sent++
		case app.Failed:
			failed++
		default:
			open++
		}
		if len(o.accepted) > 1 {
			copied++
		}
	}
	text := fmt.Sprintf("%d requests: %d sent", len(outcomes), sent)
	for _, part := range []struct {
		count int
		word  string
	}{{copied, "of them twice"}, {failed, "failed with a reason"}, {open, "without an end"}} {
		if part.count > 0 {
			text += fmt.Sprintf(", %d %s", part.count, part.word)
		}
	}
	return text
}
