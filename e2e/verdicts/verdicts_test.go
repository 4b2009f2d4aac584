package verdicts_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

const workbench = "workbench"

var suite = harnesstest.New(harnesstest.Options{
	Backends: []harness.Backend{
		local.New(local.Options{}), simstack.New(local.New(local.Options{}), simstack.Options{}),
		simstack.New(local.New(local.Options{}), simstack.Options{Name: "sim-jump", Pace: sim.Jump}),
	},
	Default: []string{"local", "sim", "sim-jump"},
	Fixed:   true, // a verdict does not depend on where the servers run
	Handler: app,
})

func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }

// surface is where a case is played.
type surface struct {
	testing.TB
	name  string
	taps  *tap.Set
	send  func(harness.Event) string
	judge func(eventID string, e harness.Expectation, timeout time.Duration) *harness.Verdict
	to    string // the case's own recipient
	app   string // where the app listens
	now   func() time.Time
	tail  func(harness.Service) []string // of a server's log
}

// testCase is played on every surface, or on those that it names.
type testCase struct {
	name  string
	on    []string // empty: all
	alone bool     // it needs a stack of its own
	play  func(s *surface)
}

func TestVerdict(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { // in parallel, as the suite makes it
			if c.plays(workbench) {
				t.Run(workbench, func(t *testing.T) {
					t.Parallel()
					w, err := simstack.NewWorkbench(t.Context(), app, simstack.WorkbenchOptions{Sim: sim.Options{RetryInterval: time.Second}})
					require.NoError(t, err)
					t.Cleanup(func() { require.NoError(t, w.Close(context.WithoutCancel(t.Context()))) })
					c.play(onWorkbench(t, w))
				})
			}
			play := func(t *harnesstest.T) {
				if c.plays(t.Stack.Backend()) {
					c.play(onStack(t))
				}
			}
			if c.alone {
				suite.RunAlone(t, nil, play)
			} else {
				suite.Run(t, play)
			}
		})
	}
}

func (c testCase) plays(on string) bool {
	for _, name := range c.on {
		if name == on {
			return true
		}
	}
	return len(c.on) == 0
}

func onWorkbench(t *testing.T, w *simstack.Workbench) *surface {
	return &surface{
		TB: t, name: workbench, taps: w.Taps(), to: recipient(), app: w.Env().AppURL, now: w.Sim().Now,
		send: func(e harness.Event) string {
			id, err := w.Sim().Send(t.Context(), e)
			require.NoError(t, err)
			return id
		},
		judge: func(id string, e harness.Expectation, _ time.Duration) *harness.Verdict {
			v, err := w.Judge(t.Context(), id, e, judge.Options{})
			require.NoError(t, err)
			return v
		},
	}
}

func onStack(t *harnesstest.T) *surface {
	return &surface{
		TB: t, name: t.Stack.Backend(), tail: t.Stack.Tail, taps: t.Stack.Taps(), to: recipient(), app: t.Env().AppURL, now: time.Now, send: t.Send,
		judge: func(id string, e harness.Expectation, timeout time.Duration) *harness.Verdict {
			return t.Judge(id, e, stack.JudgeOptions{Timeout: timeout})
		},
	}
}

// pickedUp waits until the server has begun to look for the functions of an event. It reads events in batches, and events of one
// batch in any order.
func (s *surface) pickedUp(id string) {
	s.Helper()
	if s.name != "local" {
		return
	}
	require.Eventually(s, func() bool {
		return slices.ContainsFunc(s.tail(harness.ServiceInngest), func(line string) bool {
			return strings.Contains(line, "initializing fn") && strings.Contains(line, id)
		})
	}, long, 5*time.Millisecond)
}

// event is an event with the case's recipient in its data.
func (s *surface) event(name string, more data) harness.Event {
	all := data{"to": s.to}
	for key, value := range more {
		all[key] = value
	}
	return harness.Event{Name: name, Data: all}
}

// ask makes a handler of the app, and no run of it, send an event; it returns the event's id.
func (s *surface) ask(event string) string {
	s.Helper()
	res, err := http.PostForm(s.app+"/send", url.Values{"event": {event}, "to": {s.to}})
	require.NoError(s, err)
	defer res.Body.Close()
	id, err := io.ReadAll(res.Body)
	require.NoError(s, err)
	require.Equal(s, http.StatusOK, res.StatusCode, "%s", id)
	return string(id)
}

// long is a timeout that no verdict may need; soon is when one must be there that waits for nothing but the server.
const (
	long = time.Minute
	soon = 30 * time.Second
)

// holds, broken and unknown judge an event and require the verdict, whose text has a piece that matches a pattern.
func (s *surface) holds(id string, e harness.Expectation, pattern string) *harness.Verdict {
	s.Helper()
	return s.require(harness.Holds, s.judge(id, e, long), pattern)
}

func (s *surface) broken(id string, e harness.Expectation, pattern string) *harness.Verdict {
	s.Helper()
	return s.require(harness.Broken, s.judge(id, e, long), pattern)
}

func (s *surface) unknown(id string, e harness.Expectation, pattern string) *harness.Verdict {
	s.Helper()
	return s.require(harness.CannotBeJudged, s.early(id, e, pattern), pattern)
}

// either returns what is said of the real server, which keeps no record of what flow control decided, or what sim tells.
func (s *surface) either(real, sim string) string {
	if s.name == "local" {
		return real
	}
	return sim
}

// unknownOrDecided is unknown, or, on a machine that was too slow to ask in time, a verdict that holds.
func (s *surface) unknownOrDecided(id string, e harness.Expectation, pattern string) {
	s.Helper()
	if v := s.early(id, e, pattern); v.Outcome != harness.Holds {
		s.require(harness.CannotBeJudged, v, pattern)
	}
}

// early judges an event, and gives it a second, until the verdict holds or is as expected: the server shows the event, and what
// has become of it, a moment later.
func (s *surface) early(id string, e harness.Expectation, pattern string) *harness.Verdict {
	s.Helper()
	expected := regexp.MustCompile(pattern)
	for began := time.Now(); ; {
		if v := s.judge(id, e, time.Second); v.Outcome == harness.Holds || expected.MatchString(v.String()) || time.Since(began) > soon {
			return v
		}
	}
}

func (s *surface) require(want harness.Outcome, v *harness.Verdict, pattern string) *harness.Verdict {
	s.Helper()
	require.Equal(s, want, v.Outcome, "%s", v)
	require.Regexp(s, pattern, v.String())
	require.Less(s, v.Took, soon, "it is known long before the time is up")
	return v
}

func run(function string) harness.RunExpectation {
	return harness.RunExpectation{Function: function, Status: harness.StatusCompleted}
}

func runs(all ...harness.RunExpectation) harness.Expectation {
	return harness.Expectation{Runs: all, NoOtherRuns: true, NoOtherMail: true}
}

// nothing: no run was started, and no email was sent.
var nothing = harness.Expectation{NoOtherRuns: true, NoOtherMail: true}

// mailed: the run, and one email to the recipient.
func (s *surface) mailed(all ...harness.RunExpectation) harness.Expectation {
	e := runs(all...)
	e.Mail = []harness.MailExpectation{{To: s.to, Copies: 1}}
	return e
}
