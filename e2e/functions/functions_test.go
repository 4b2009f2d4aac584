package functions_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

var (
	made  = &testApps{all: map[string]*testApp{}}
	suite = harnesstest.New(harnesstest.Options{Backends: []harness.Backend{local.New(local.Options{})}, Fixed: true, Handler: made.app, Pool: 1})
)

func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }

// The rows run in this process.
func TestFunction_OnSim(t *testing.T) {
	t.Parallel()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkbench(t)
			s := newEnv(t, made.at(w.Env().AppURL))
			r.play(s, w.Taps(), func(a act) *harness.Verdict { return judged(t, w, a) })
		})
	}
}

func newWorkbench(t *testing.T) *simstack.Workbench {
	t.Helper()
	w, err := simstack.NewWorkbench(t.Context(), made.app, simstack.WorkbenchOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close(context.WithoutCancel(t.Context()))) })
	return w
}

func judged(t *testing.T, w *simstack.Workbench, a act) *harness.Verdict {
	t.Helper()
	id, err := w.Sim().Send(t.Context(), a.event)
	require.NoError(t, err)
	v, err := w.Judge(t.Context(), id, a.want, judge.Options{})
	require.NoError(t, err)
	return v
}

// The rows run on the real server, those with faults on a stack of their own.
func TestFunction_OnAServer(t *testing.T) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			play := func(t *harnesstest.T) {
				r.play(newEnv(t, made.at(t.Env().AppURL)), t.Stack.Taps(), func(a act) *harness.Verdict {
					return t.Judge(t.Send(a.event), a.want, stack.JudgeOptions{Timeout: timeout})
				})
			}
			if len(r.faults) > 0 {
				suite.RunAlone(t, nil, play)
			} else {
				suite.Run(t, play)
			}
		})
	}
}

// timeout is longer than all retries on the real server, at one second each.
const timeout = 30 * time.Second

// play runs the row. judged sends an act's event and judges what follows.
func (r row) play(s *env, taps *tap.Set, judged func(act) *harness.Verdict) {
	s.t.Helper()
	for _, f := range r.faults {
		_, err := taps.Inject(f)
		require.NoError(s.t, err)
	}
	if r.arrange != nil {
		r.arrange(s)
	}
	for i, a := range r.acts(s) {
		if a.before != nil {
			a.before()
		}
		require.NoError(s.t, judged(a).Err(), "event %d", i+1)
	}
	r.after(s, s.notification())
}

// Each retry waits as long as the server's back-off says. The real server runs with the least interval here.
func TestFunction_RetriesWithBackOff(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t)
	s := newEnv(t, made.at(w.Env().AppURL))
	_, err := w.Taps().Inject(tap.Fault{At: tap.AtConnect, Do: tap.Reply, Code: 421, Text: "too busy", Times: -1})
	require.NoError(t, err)
	v := judged(t, w, act{event: s.own(), want: failsAt(send, attempts, "too busy")(s)})
	require.NoError(t, v.Err())
	steps := v.Trace.Runs[0].Steps
	tries := steps[len(steps)-1].Attempts
	const jitter = 30 * time.Second
	for i, pause := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute} {
		waited := tries[i+1].Started.Sub(tries[i].Ended)
		require.True(t, waited >= pause && waited <= pause+jitter, "retry %d came after %v, not %v and up to %v more", i+1, waited, pause, jitter)
	}
}

// BenchmarkOnSim measures a run of the app's function: event to email, through the taps and over SMTP.
func BenchmarkOnSim(b *testing.B) {
	w, err := simstack.NewWorkbench(b.Context(), made.app, simstack.WorkbenchOptions{})
	require.NoError(b, err)
	defer w.Close(b.Context())
	p := made.at(w.Env().AppURL)
	for b.Loop() {
		s := newEnv(b, p)
		e := s.own()
		if _, err := w.Sim().Send(b.Context(), e); err != nil {
			b.Fatal(err)
		}
		if err := w.Sim().Run(b.Context()); err != nil {
			b.Fatal(err)
		}
		if n := s.notification(); n.SentAt.IsZero() {
			b.Fatal(fmt.Errorf("nothing was sent: %+v", n))
		}
	}
}
