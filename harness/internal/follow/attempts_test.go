package follow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestExecutions_CountsHowOftenAppMadeStep(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	ran := func(op sdk.Opcode, step string, began, ended int) tap.Op {
		o := tap.Op{Op: op, ID: step}
		if ended != 0 {
			o.Began, o.Ended = at(began), at(ended)
		}
		return o
	}
	call := func(id uint64, began, ended int, c tap.Call) tap.Exchange {
		c.RunID = "run"
		return tap.Exchange{ID: id, Began: at(began), Ended: at(ended), HTTP: &tap.HTTP{Status: c.Status}, Call: &c}
	}
	opening := func(id uint64, began int) tap.Exchange {
		return tap.Exchange{ID: id, Began: at(began), Call: &tap.Call{RunID: "run"}}
	}
	saved := func(call uint64, now int, steps ...tap.Op) tap.Exchange {
		return tap.Exchange{Began: at(now), Checkpoint: &tap.Checkpoint{RunID: "run", Call: call, Steps: steps}}
	}
	for name, test := range map[string]struct {
		records []tap.Exchange
		want    map[string]int
	}{
		"a step, and one that failed first": {
			[]tap.Exchange{
				call(1, 0, 1, tap.Call{Status: 206, Ops: []tap.Op{ran(sdk.OpStepRun, "a", 0, 0)}}),
				call(2, 1, 2, tap.Call{Status: 206, Ops: []tap.Op{ran(sdk.OpStepError, "b", 0, 0)}}),
				call(3, 3, 4, tap.Call{Status: 206, Ops: []tap.Op{ran(sdk.OpStepRun, "b", 0, 0)}}),
			},
			map[string]int{"a": 1, "b": 2},
		},
		"a checkpoint that was lost is repeated in the answer": {
			[]tap.Exchange{
				opening(1, 0), saved(1, 2, ran(sdk.OpStepRun, "a", 1, 2)), saved(1, 2, ran(sdk.OpStepRun, "a", 1, 2)),
				call(1, 0, 3, tap.Call{Status: 206, Ops: []tap.Op{ran(sdk.OpStepRun, "a", 1, 2)}}),
			},
			map[string]int{"a": 1},
		},
		"so it is where the SDK gives no times": {
			[]tap.Exchange{opening(1, 0), saved(1, 2, ran(sdk.OpStepRun, "a", 0, 0)),
				call(1, 0, 3, tap.Call{Status: 206, Ops: []tap.Op{ran(sdk.OpStepRun, "a", 0, 0)}})},
			map[string]int{"a": 1},
		},
		"an announced step, and a sleep, are no executions": {
			[]tap.Exchange{call(1, 0, 1, tap.Call{Status: 206,
				Ops: []tap.Op{ran(sdk.OpStepPlanned, "a", 0, 0), ran(sdk.OpSleep, "b", 0, 0)}})},
			map[string]int{"a": 0, "b": 0},
		},
		"a call for one step that was not answered": {
			[]tap.Exchange{call(1, 0, 1, tap.Call{Step: "a", Unanswered: true}),
				call(2, 2, 3, tap.Call{Step: "a", Status: 206, Ops: []tap.Op{ran(sdk.OpStepRun, "a", 0, 0)}})},
			map[string]int{"a": 2},
		},
		"a call for one step that ended with a failure of the function": {
			[]tap.Exchange{
				call(1, 0, 1, tap.Call{Step: "a", Status: 500}),
				call(2, 2, 3, tap.Call{Step: "a", Status: 206, Ops: []tap.Op{ran(sdk.OpStepRun, "a", 0, 0)}}),
			},
			map[string]int{"a": 2},
		},
		"so does one that had saved the step": {
			[]tap.Exchange{
				opening(1, 0), saved(1, 2, ran(sdk.OpStepRun, "a", 1, 2)),
				call(1, 0, 3, tap.Call{Step: "a", Status: 500}),
			},
			map[string]int{"a": 1},
		},
		"a call that was not answered was at the step that comes next": {
			[]tap.Exchange{
				opening(1, 0), saved(1, 1, ran(sdk.OpStepRun, "a", 0, 1)), call(1, 0, 3, tap.Call{Unanswered: true}),
				opening(2, 4), saved(2, 5, ran(sdk.OpStepRun, "b", 4, 5)), saved(2, 6, ran(sdk.OpStepRun, "c", 5, 6)),
			},
			map[string]int{"a": 1, "b": 2, "c": 1},
		},
		"the code of an abandoned call goes on and reports before the next call": {
			[]tap.Exchange{
				call(1, 0, 2, tap.Call{Unanswered: true, Abandoned: true}), saved(0, 5, ran(sdk.OpStepRun, "a", 1, 5)),
				opening(2, 6), saved(2, 7, ran(sdk.OpStepRun, "a", 6, 7)),
			},
			map[string]int{"a": 2},
		},
		"and after it": {
			[]tap.Exchange{
				call(1, 0, 2, tap.Call{Unanswered: true, Abandoned: true}), opening(2, 3), saved(2, 4, ran(sdk.OpStepRun, "a", 3, 4)),
				saved(2, 5, ran(sdk.OpStepRun, "a", 1, 5)),
			},
			map[string]int{"a": 2},
		},
		"a call that came twice": {
			[]tap.Exchange{call(1, 0, 1, tap.Call{Status: 206, Repeated: true, Ops: []tap.Op{ran(sdk.OpStepRun, "a", 0, 0)}})},
			map[string]int{"a": 2},
		},
		"a call that came twice, with checkpoints": {
			[]tap.Exchange{
				opening(1, 0), saved(1, 2, ran(sdk.OpStepRun, "a", 1, 2)), saved(1, 4, ran(sdk.OpStepRun, "a", 3, 4)),
				call(1, 0, 5, tap.Call{Status: 206, Repeated: true, Ops: []tap.Op{ran(sdk.OpRunComplete, "", 0, 0)}}),
			},
			map[string]int{"a": 2},
		},
	} {
		l := NewLedger(nil)
		for _, x := range test.records {
			l.add(x)
		}
		got := map[string]int{}
		for step := range test.want {
			got[step] = len(l.get(keyRun("run")).executions.of(step))
		}
		l.Close()
		require.Equal(t, test.want, got, name)
	}
}

func TestAttempts_AddsThoseThatServerDidNotRecord(t *testing.T) {
	t.Parallel()
	recorded := []inngestapi.Attempt{{Status: harness.StatusCompleted, Started: noon.Add(time.Hour)}}
	seen := []execution{{began: noon, ended: noon.Add(time.Second), status: harness.StatusFailed}, {began: noon.Add(time.Hour)}}
	require.Equal(t, []harness.TraceAttempt{
		{Status: harness.StatusFailed, Started: noon, Ended: noon.Add(time.Second), Unrecorded: true},
		{Status: harness.StatusCompleted, Started: noon.Add(time.Hour)},
	}, attempts(recorded, seen))
	require.Len(t, attempts(append(recorded, recorded...), seen[:1]), 2,
		"the server knows of more, as on a stack whose taps began later")
}

func TestUnquiet_WaitsForCodeOfAbandonedCall(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	f.root, f.events = &harness.TraceEvent{}, []*tracedEvent{{}}
	f.runs = []*tracedRun{{TraceRun: harness.TraceRun{ID: "run", Function: "order", Status: harness.StatusCancelled}, over: true}}
	abandoned := func(at time.Time) {
		f.src.Ledger.add(tap.Exchange{ID: 1, Began: at, Ended: at, HTTP: &tap.HTTP{},
			Call: &tap.Call{RunID: "run", Unanswered: true, Abandoned: true}})
	}
	answered := func(id uint64, at time.Time) {
		f.src.Ledger.add(tap.Exchange{ID: id, Began: at, Ended: at, HTTP: &tap.HTTP{Status: 200}, Call: &tap.Call{RunID: "run", Status: 200}})
	}
	longAgo := time.Now().Add(-cutPatience - time.Minute)
	abandoned(longAgo)
	require.Contains(t, f.unquiet(), "the server hung up on the last call of it: what the app did about it after that cannot be known")
	answered(2, longAgo.Add(time.Second))
	require.Empty(t, f.unquiet(), "the app was called again, and answered")
	abandoned(time.Now())
	answered(3, time.Now().Add(time.Millisecond))
	require.Contains(t, f.unquiet(), "the server hung up on a call of it, at which the app may still be at work")
}

func TestUnquiet_TellsHowFunctionFailedThatIsToBeCalledAgain(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	f.root, f.events = &harness.TraceEvent{}, []*tracedEvent{{}}
	f.runs = []*tracedRun{{TraceRun: harness.TraceRun{ID: "run", Function: "order", Status: harness.StatusRunning}}}
	call := func(id uint64, at time.Time, c tap.Call) {
		c.RunID = "run"
		f.src.Ledger.add(tap.Exchange{ID: id, Began: at, Ended: at, HTTP: &tap.HTTP{Status: c.Status}, Call: &c})
	}
	call(1, noon, tap.Call{Status: 500, Attempt: 1, MaxAttempts: 5, Error: &tap.Failure{Message: "boom"}})
	require.Equal(t, "the run run of order is RUNNING: attempt 1 of 5 failed: boom", f.unquiet())
	call(2, noon.Add(time.Minute), tap.Call{Status: 206, Ops: []tap.Op{{ID: "step"}}})
	require.Equal(t, "the run run of order is RUNNING", f.unquiet())
}
