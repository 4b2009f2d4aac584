package verdicts_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

var cases = []testCase{
	{name: "a wildcard trigger starts a function", play: func(s *surface) {
		s.holds(s.send(s.event("note/plain", nil)), s.mailed(run("note")),
			`1 run has ended, those of events they sent included: note COMPLETED`)
	}},
	{name: "a wildcard trigger of an event that a step sent is waited for", play: func(s *surface) {
		id := s.send(s.event("report/slow", nil))
		s.broken(id, runs(run("reporter")), `there is a run that was not expected: \S+ of note-slowly`)
		s.holds(id, s.mailed(run("reporter"), run("note-slowly")),
			`2 runs have ended, those of events they sent included: .*note-slowly COMPLETED`)
	}},
	{name: "steps with one id are different steps", play: func(s *surface) {
		id := s.send(s.event("loop/asked", nil))
		steps := func(all ...harness.StepExpectation) harness.Expectation {
			e := runs(run("loop"))
			e.Runs[0].Steps = all
			return e
		}
		again := func(occurrence int, status harness.Status) harness.StepExpectation {
			return harness.StepExpectation{ID: "again", Occurrence: occurrence, Status: status, Attempts: 1}
		}
		const ok, failed = harness.StatusCompleted, harness.StatusFailed
		s.holds(id, steps(again(0, failed), again(0, ok), again(0, ok)), "")
		s.holds(id, steps(again(3, failed), again(1, ok)), "")
		s.broken(id, steps(again(0, ""), again(0, ""), again(0, ""), again(0, "")), `step again was not reached`)
		s.broken(id, steps(again(3, ok)), `step again \(occurrence 3\) of loop: status is FAILED, want COMPLETED`)
		s.broken(id, steps(again(4, "")), `step again \(occurrence 4\) was not reached`)
	}},
	{name: "a condition that is false starts nothing", play: func(s *surface) {
		id := s.send(s.event("pick/asked", data{"kind": "big", "n": 2}))
		s.holds(id, nothing, `picky was not started: its condition .* is false for this event`)
		s.broken(id, harness.Expectation{Runs: []harness.RunExpectation{run("picky")}},
			`broken: picky was not started: its condition .* is false for this event; so there is no run of picky`)
		s.holds(s.send(s.event("pick/asked", data{"kind": "big", "n": 3})), s.mailed(run("picky")), `picky COMPLETED`)
	}},
	{name: "a condition that is false of an event that a step sent", play: func(s *surface) {
		s.holds(s.send(s.event("pick/passed", data{"kind": "small"})), runs(run("picker")), `1 run has ended`)
		s.holds(s.send(s.event("pick/passed", data{"kind": "big", "n": 4})), s.mailed(run("picker"), run("picky")),
			`2 runs have ended`)
	}},
	{name: "a handler of a system event with a condition of its own", play: func(s *surface) {
		s.holds(s.send(s.event("pick/passed", data{"kind": "watched"})), runs(run("picker"), run("after-picker")),
			`2 runs have ended`)
	}},
	{name: "an event whose id was used before starts nothing", play: func(s *surface) {
		e := s.event("note/plain", nil)
		e.IdempotencyKey = s.to
		first := s.send(e)
		s.holds(first, s.mailed(run("note")), "")
		id := s.send(e)
		s.holds(id, harness.Expectation{NoOtherRuns: true}, `note was not started: the event's id ".*" was used before.*`+first)
		s.broken(id, harness.Expectation{Runs: []harness.RunExpectation{run("note")}}, `was used before`)
	}},
	{name: "an event whose id another event had starts nothing, whatever its name", play: func(s *surface) {
		e := s.event("note/plain", nil)
		e.IdempotencyKey = s.to
		first := s.send(e)
		s.holds(first, s.mailed(run("note")), "")
		e.Name = "note/other"
		id := s.send(e)
		s.holds(id, harness.Expectation{NoOtherRuns: true}, `note was not started: the event's id ".*" was used before.*`+first)
		s.broken(id, harness.Expectation{Runs: []harness.RunExpectation{run("note")}}, `broken: note was not started: .* was used before`)
	}},
	{name: "an event that a step sent twice with one id starts one run", play: func(s *surface) {
		s.holds(s.send(s.event("twice/asked", data{"key": s.to})), s.mailed(run("twice"), run("note")), `2 runs have ended`)
	}},
	{name: "an idempotency expression drops the second event", play: func(s *surface) {
		first := s.send(s.event("once/asked", nil))
		s.holds(first, s.mailed(run("once")), "")
		id := s.send(s.event("once/asked", nil))
		s.holds(id, harness.Expectation{NoOtherRuns: true},
			s.either(`once was not started: its rate limit of 1 in 24h0m0s for each event.data.to was used up: by the run \S+, `+
				`of the event `+first, `once was not started: dropped: idempotency of key `+s.to))
	}},
	{name: "an event in the future waits for its time", on: []string{"local", "sim", "workbench"}, play: func(s *surface) {
		e := s.event("note/later", nil)
		if s.name != workbench { // which goes on until nothing is left to do
			e.TS = s.now().Add(time.Hour).UnixMilli()
			id := s.send(e)
			const queued = `run of note QUEUED \(\S+\) until .*, the time \(ts\) of its event`
			s.require(harness.CannotBeJudged, s.early(id, s.mailed(run("note")), queued), queued)
			s.unknown(id, harness.Expectation{NoOtherMail: true},
				`more may still happen: the run \S+ of note is QUEUED until \S+, the time \(ts\) of its event`)
		}
		at := s.now().Add(2 * time.Second)
		e.TS = at.UnixMilli()
		v := s.holds(s.send(e), s.mailed(run("note")), "")
		require.False(s, v.Trace.Mail[0].Received.Before(at.Truncate(time.Second)), "%s", v)
	}},
	{name: "an event in the future takes no time where the clock jumps", on: []string{"sim-jump", "workbench"},
		play: func(s *surface) {
			e := s.event("note/later", nil)
			e.TS = s.now().Add(24 * time.Hour).UnixMilli()
			s.holds(s.send(e), s.mailed(run("note")), "")
		}},
	{name: "a step that the app made twice had two attempts", alone: true, play: func(s *surface) {
		for _, f := range []tap.Fault{{At: tap.AtCheckpoint, Do: tap.Drop, Step: "mail"},
			{At: tap.AtCall, Do: tap.DropAnswer, Step: "mail"}} {
			_, err := s.taps.Inject(f)
			require.NoError(s, err)
		}
		want := runs(run("repeat"))
		want.Runs[0].Steps = []harness.StepExpectation{{ID: "first", Attempts: 1}, {ID: "mail", Attempts: 2}}
		want.Mail = []harness.MailExpectation{{To: s.to, Copies: 2}}
		s.holds(s.send(s.event("repeat/asked", nil)), want, `attempt 1: the taps saw it; the Inngest server did not record it`)
	}},
	{name: "a call that came twice had its step made twice", alone: true, play: func(s *surface) {
		_, err := s.taps.Inject(tap.Fault{At: tap.AtCall, Do: tap.Twice})
		require.NoError(s, err)
		want := runs(run("note"))
		want.Runs[0].Steps = []harness.StepExpectation{{ID: "mail", Attempts: 2}}
		want.Mail = []harness.MailExpectation{{To: s.to, Copies: 2}}
		s.holds(s.send(s.event("note/plain", nil)), want, `after 2 attempts`)
	}},

	{name: "a condition is evaluated as loosely as the server does", play: func(s *surface) {
		id := s.send(s.event("loose/asked", data{"kind": "BIG"}))
		s.holds(id, s.mailed(run("truthy")), `lacks was not started: its condition !has\(event.data.missing\) is false`)
	}},
	{name: "an escape in a condition stands for itself", play: func(s *surface) {
		s.holds(s.send(s.event("escape/asked", data{"s": "A17"})), nothing, `escapes was not started: its condition .* is false for this event`)
		s.holds(s.send(s.event("escape/asked", data{"s": `A\d`})), s.mailed(run("escapes")), "")
	}},
	{name: "a condition that only the server can evaluate", on: []string{"local", "sim"}, play: func(s *surface) {
		s.holds(s.send(s.event("dated/asked", data{"at": "2020-01-01T00:00:00Z"})), s.mailed(run("dated")), "")
		s.unknown(s.send(s.event("dated/asked", data{"at": "2999-01-01T00:00:00Z"})), nothing, `it depends on the time at which the server evaluated it`)
	}},
	{name: "an output is compared to its last digit", play: func(s *surface) {
		id := s.send(s.event("exact/asked", nil))
		s.holds(id, runs(harness.RunExpectation{Function: "exact", Output: json.RawMessage("9007199254740993")}), "")
		other := harness.RunExpectation{Function: "exact", Output: json.RawMessage("9007199254740992")}
		s.broken(id, runs(other), `output is 9007199254740993, want 9007199254740992`)
	}},
	{name: "what failed has no output", play: func(s *surface) {
		id := s.send(s.event("fail/asked", nil))
		failed := harness.RunExpectation{Function: "fail", Output: json.RawMessage("null")}
		s.broken(id, runs(failed), `it is FAILED and has no output, want null`)
		failed.Output, failed.Steps = nil, []harness.StepExpectation{{ID: "look", Output: json.RawMessage("null")}}
		s.broken(id, runs(failed), `it is FAILED and has no output, want null`)
	}},
	{name: "a delivery that goes on after the run has ended", play: func(s *surface) {
		id := s.send(s.event("hurry/asked", nil))
		s.holds(id, harness.Expectation{Runs: []harness.RunExpectation{run("hurry")}}, "")
		absent := harness.Expectation{Mail: []harness.MailExpectation{{To: s.to, Absent: true}}}
		s.unknown(id, absent, `the mail server has not answered yet whether it accepts an email to `+s.to)
		goOn(s.to)
		s.broken(id, absent, `there is an email to `+s.to)
	}},
	{name: "an event of the test, whose id a step returns, is no effect of the run", on: []string{"local", "sim"},
		play: func(s *surface) { s.approved(func() string { return s.send(s.event("approval/given", nil)) }) }},
	{name: "an event of the app's own handler, whose id a step returns, is no effect of the run", on: []string{"local", "sim"},
		play: func(s *surface) { s.approved(func() string { return s.ask("approval/given") }) }},

	{name: "a singleton that is running skips the event", on: []string{"local", "sim"}, play: func(s *surface) {
		first := s.send(s.event("single/asked", data{"hold": true}))
		s.judge(first, harness.Expectation{Runs: []harness.RunExpectation{{Function: "single", Status: harness.StatusRunning,
			Steps: []harness.StepExpectation{{ID: "hold"}}}}}, long)
		id := s.send(s.event("single/asked", nil))
		skipped := harness.RunExpectation{Function: "single", Status: harness.StatusSkipped}
		why := `run of single SKIPPED \(\S+\)\n +the server did not execute it: singleton: the run \S+ had not ended`
		s.holds(id, runs(skipped), why)
		s.holds(id, nothing, why)
		s.holds(id, harness.Expectation{Mail: []harness.MailExpectation{{To: s.to, Absent: true}}}, why)
		s.broken(id, harness.Expectation{Runs: []harness.RunExpectation{run("single")}},
			`the server skipped it, and did not call the app: singleton`)
		s.broken(id, harness.Expectation{Runs: []harness.RunExpectation{{Function: "single"}}},
			`the server skipped it, and did not call the app: singleton`)
		s.send(s.event("single/released", nil))
		s.holds(first, s.mailed(run("single")), "")
	}},
	{name: "a rate limit drops the second event", on: []string{"local", "sim"}, play: func(s *surface) {
		first := s.send(s.event("limited/asked", nil))
		s.holds(first, s.mailed(run("limited")), "")
		id := s.send(s.event("limited/asked", nil))
		s.unknownOrDecided(id, harness.Expectation{NoOtherRuns: true},
			`limited is subscribed, is limited to 1 in 1m for each event.data.to: whether the event is dropped will be known at \S+, `+
				`and has not started`)
		v := s.holds(id, harness.Expectation{NoOtherRuns: true},
			s.either(`limited was not started: its rate limit of 1 in 1m for each event.data.to was used up: by the run \S+, of the event `+
				first, `limited was not started: dropped: rate limit 1 per 1m0s of key `+s.to))
		require.Less(s, v.Took, 20*time.Second)
		s.broken(id, harness.Expectation{Runs: []harness.RunExpectation{run("limited")}},
			s.either(`its rate limit of 1 in 1m for each event.data.to was used up`, `dropped: rate limit 1 per 1m0s of key `+s.to))
	}},
	{name: "an invocation uses up a rate limit", on: []string{"local", "sim"}, play: func(s *surface) {
		for _, function := range []string{"limited", "once"} {
			s.to = recipient()
			id := s.send(s.event("invoke/asked", data{"function": function}))
			s.holds(id, s.mailed(run("invoker"), run(function)), `2 runs have ended`)
			dropped := s.send(s.event(function+"/asked", nil))
			s.broken(dropped, harness.Expectation{Runs: []harness.RunExpectation{run(function)}},
				s.either(function+` was not started: its rate limit of 1 in \S+ for each event.data.to was used up: by the run`,
					function+` was not started: dropped: `))
			s.holds(dropped, nothing, "")
		}
	}},
	{name: "of events that come together a rate limit drops any but one", on: []string{"local", "sim"}, play: func(s *surface) {
		e := s.event("limited/asked", nil)
		ids := []string{s.send(e), s.send(e), s.send(e)}
		var kept []string
		for _, id := range ids {
			if s.judge(id, s.mailed(run("limited")), long).Outcome == harness.Holds {
				kept = append(kept, id)
				continue
			}
			s.holds(id, nothing, s.either(`limited was not started: its rate limit of 1 in 1m for each event.data.to was used up: by the run \S+`,
				`limited was not started: dropped: rate limit 1 per 1m0s of key `+s.to))
		}
		require.Len(s, kept, 1)
	}},
	{name: "what a run that waits has not done yet cannot be judged", on: []string{"local", "sim"}, play: func(s *surface) {
		id := s.send(s.event("approval/asked", nil))
		waiting := harness.RunExpectation{Function: "approve", Steps: []harness.StepExpectation{{ID: "wait"}}}
		s.holds(id, harness.Expectation{Runs: []harness.RunExpectation{waiting}}, "")
		s.unknown(id, harness.Expectation{Runs: []harness.RunExpectation{run("approve")}},
			`run of approve: status is RUNNING, want COMPLETED, but after 1s that may still change: the run \S+ of approve is RUNNING, in step wait \(WAIT_FOR_EVENT\)`)
	}},
	{name: "what a debounced event will start cannot be judged", on: []string{"local", "sim"}, play: func(s *surface) {
		s.unknown(s.send(s.event("settled/asked", nil)), harness.Expectation{Runs: []harness.RunExpectation{run("settled")}},
			s.either(`settled is debounced for each event.data.to: it starts for the last of several events`, `settled debounced of key `))
	}},
	{name: "a debounced event gives way to a later one", on: []string{"local", "sim"}, play: func(s *surface) {
		first := s.send(s.event("debounced/asked", nil))
		s.pickedUp(first)
		last := s.send(s.event("debounced/asked", nil))
		s.unknownOrDecided(first, harness.Expectation{NoOtherRuns: true},
			`debounced is subscribed, is debounced for each event.data.to: it starts for the last of several events, 8s after it; `+
				`for this one at \S+ if there is no later one`)
		s.holds(last, s.mailed(run("debounced")), s.either("", `debounced: no other event came`))
		s.holds(first, harness.Expectation{NoOtherRuns: true},
			s.either(`debounced was not started: it was debounced into a later event: the run \S+, of the event `+last,
				`debounced was not started: debounced into run \S+ of event `+last))
	}},
	{name: "a batch that is not full yet says when it starts", on: []string{"local", "sim"}, play: func(s *surface) {
		first, second := s.send(s.event("batched/asked", nil)), s.send(s.event("batched/asked", nil))
		for _, id := range []string{first, second} {
			s.holds(id, s.mailed(run("batched")), s.either("", `batched in a batch of 2: run \S+`))
		}
		s.unknown(s.send(s.event("batched/asked", nil)), harness.Expectation{NoOtherRuns: true},
			s.either(`batched is subscribed, collects events in batches of 2: it starts at once when events within 500ms fill its batch, `+
				`else 20s after the first event of it, at the latest at \S+, and has not started`,
				`batched is subscribed, in a batch of key `+s.to+`: number 1 of at most 2; the run starts at \S+ at the latest, and has not started`))
	}},
	{name: "a batch is the run of each event that a step sent", play: func(s *surface) {
		s.holds(s.send(s.event("fan/asked", nil)), s.mailed(run("fan"), run("batched")), `2 runs have ended`)
	}},
	{name: "sim tells what a run waits for, and how long it waited", on: []string{"sim", "sim-jump", workbench}, play: func(s *surface) {
		first, second := s.send(s.event("throttled/asked", nil)), s.send(s.event("throttled/asked", nil))
		if s.name == "sim" {
			waits := `the run \S+ of throttled is QUEUED: waits: throttle 1 per 10s of key ` + s.to
			if v := s.early(second, s.mailed(run("throttled")), waits); v.Outcome != harness.Holds { // unless the machine is too slow to ask
				s.require(harness.Broken, v, waits)
			}
		}
		s.holds(first, s.mailed(run("throttled")), "")
		v := s.holds(second, s.mailed(run("throttled")), `run of throttled COMPLETED \(\S+\)\n +admitted after [\d.]+s: throttle 1 per 10s of key `+s.to)
		require.Contains(s, v.Trace.Evidence, "throttled "+v.Trace.Runs[0].Decisions[0])
		require.Len(s, v.Trace.Runs[0].Decisions, 1)
	}},
	{name: "a batch that fills up slowly starts when its time is up", on: []string{"local"}, play: func(s *surface) {
		first := s.send(s.event("gathered/asked", nil))
		s.unknown(first, harness.Expectation{NoOtherRuns: true}, `gathered is subscribed, collects events in batches of 2`)
		second := s.send(s.event("gathered/asked", nil)) // more than 500 ms later
		v := s.holds(first, s.mailed(run("gathered")), "")
		require.GreaterOrEqual(s, v.Trace.Runs[0].Queued.Sub(v.Trace.Event.Received), gathering, "%s", v)
		s.holds(second, s.mailed(run("gathered")), "")
	}},
}

// approved plays a run that waits for an event which is no effect of it, and whose id it returns.
func (s *surface) approved(send func() (eventID string)) {
	id := s.send(s.event("approval/asked", nil))
	waiting := harness.RunExpectation{Function: "approve", Steps: []harness.StepExpectation{{ID: "wait"}}}
	s.holds(id, harness.Expectation{Runs: []harness.RunExpectation{waiting}}, "")
	approval := send()
	v := s.holds(id, runs(run("approve")), "")
	require.JSONEq(s, fmt.Sprintf("%q", approval), string(v.Trace.Runs[0].Output))
	s.holds(approval, runs(run("audit")), "")
}
