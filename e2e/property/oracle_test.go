package property

import (
	"fmt"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// Facts are what the app did because of one event, by its own account.
type facts struct {
	runs  []runFact
	mails []mailFact
}

// A runFact is a run. A run that a cancelling event may have met has two possible statuses, and unknown steps.
type runFact struct {
	function string
	statuses []harness.Status
	steps    []stepFact
	unknown  bool // steps says nothing
}

// A stepFact is a step that ended.
type stepFact struct {
	id         string
	occurrence int
	status     harness.Status
	tries      int  // 0 for a step without code of the app, and where they cannot be known
	lost       bool // the server may not know that it ended
}

// A mailFact is one email to one recipient.
type mailFact struct{ to, subject string }

// facts returns what followed from an event of the test: by is what its data says that it was sent by. It is asked for
// when everything has ended. The error says that the account contradicts what Inngest promises, so it is the harness, the
// server or this model that is wrong; ambiguous says that the app cannot know what happened.
func (p *player) facts(by string) (f facts, ambiguous bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := func(sender string) bool { return p.cause(sender) == by }
	for _, r := range p.order {
		if !mine(r.id) {
			continue
		}
		fact, err := p.runFact(r)
		if err != nil {
			return f, false, err
		}
		f.runs = append(f.runs, fact)
	}
	for _, m := range p.mails {
		if !mine(m.run.id) {
			continue
		}
		for _, to := range m.to {
			f.mails = append(f.mails, mailFact{to, m.subject})
		}
	}
	for _, w := range p.wanted(mine) {
		function := p.app.Functions[w.function]
		switch {
		case w.perhaps:
			return f, true, nil
		case !p.met(function, w.dataID, w.began):
			return f, false, fmt.Errorf("the app was never called for %s of %s", name(w.function), w.why)
		default: // it was cancelled before its first call
			cancelled := []harness.Status{harness.StatusCancelled}
			f.runs = append(f.runs, runFact{function: name(w.function), statuses: cancelled, unknown: true})
		}
	}
	return f, false, nil
}

// cause returns what event of the test a run goes back to.
func (p *player) cause(run string) string {
	for p.runs[run] != nil {
		r := p.runs[run]
		run = r.by
		if p.runs[run] == nil && r.above != "" {
			run = r.above
		}
	}
	return run
}

// met reports whether an event that cancels a run of a function may have arrived after the one that started it.
func (p *player) met(f Function, dataID string, began int) bool {
	return slices.ContainsFunc(p.events, func(e *sentEvent) bool {
		return (e.ended == 0 || e.ended > began) && f.cancelledBy(e.name, e.dataID, dataID)
	})
}

// startOf is when the event was sent that started a run, as far as the account has it.
func (p *player) startOf(r *ranRun) int {
	for _, e := range p.events {
		if e.id == r.eventKey {
			return e.began
		}
	}
	if of := p.runs[r.by]; of != nil {
		return of.began
	}
	return 0
}

func (p *player) runFact(r *ranRun) (runFact, error) {
	fact := runFact{function: name(r.function)}
	function := p.app.Functions[r.function]
	end := harness.StatusCompleted
	if r.failed {
		end = harness.StatusFailed
	}
	cancelled := p.met(function, r.eventID, p.startOf(r))
	switch {
	case cancelled && r.returned:
		fact.statuses, fact.unknown = []harness.Status{end, harness.StatusCancelled}, true
	case cancelled:
		fact.statuses, fact.unknown = []harness.Status{harness.StatusCancelled}, true
	case !r.returned:
		return fact, fmt.Errorf("the run %s of %s never ended", r.id, fact.function)
	default:
		fact.statuses = []harness.Status{end}
	}
	for _, s := range r.steps {
		if s.tries == 0 && !s.over {
			continue
		}
		status := harness.StatusCompleted
		if s.failed {
			status = harness.StatusFailed
		}
		fact.steps = append(fact.steps, stepFact{s.id, s.occurrence, status, s.tries, s.lost})
	}
	return fact, nil
}

// A wantedRun is a run that must exist and whose function was not called.
type wantedRun struct {
	function int
	dataID   string
	began    int
	why      string
	perhaps  bool // it may not exist either
}

// wanted returns the runs that events of mine must have started and that were not called.
func (p *player) wanted(mine func(by string) bool) []wantedRun {
	var missing []wantedRun
	called := func(function int, is func(*ranRun) bool) bool {
		return slices.ContainsFunc(p.order, func(r *ranRun) bool { return r.function == function && is(r) })
	}
	for _, e := range p.events {
		for i, f := range p.app.Functions {
			ofEvent := func(r *ranRun) bool { return r.eventKey == e.id }
			if mine(e.by) && f.starts(e.name, e.dataID) && !called(i, ofEvent) {
				missing = append(missing, wantedRun{i, e.dataID, e.began, "the event " + e.name + " " + e.id, false})
			}
		}
	}
	for _, r := range p.order {
		if !mine(r.id) {
			continue
		}
		counts := map[int]int{}
		for _, s := range r.steps {
			if s.invokes > 0 {
				counts[s.invokes]++
			}
		}
		for _, other := range p.order {
			if other.by == r.id && other.event == onInvoked && !isSystem(p.app.Functions[other.function].On) {
				counts[other.function]--
			}
		}
		for function, n := range counts {
			for range n {
				perhaps := p.met(p.app.Functions[r.function], r.eventID, p.startOf(r))
				missing = append(missing, wantedRun{function, r.eventID, r.began, "an invocation by the run " + r.id, perhaps})
			}
		}
		missing = append(missing, p.wantedHandlers(r)...)
	}
	return missing
}

// wantedHandlers returns the handlers of the end of a run, and of its invocations, that were not called.
func (p *player) wantedHandlers(r *ranRun) []wantedRun {
	fact, err := p.runFact(r)
	if err != nil || len(fact.statuses) > 1 {
		return nil
	}
	ends := map[harness.Status]string{harness.StatusFailed: onFailed, harness.StatusCancelled: onCancelled}
	var missing []wantedRun
	for i, f := range p.app.Functions {
		about := f.About == 0 || f.About-1 == r.function
		tells := f.On == onFinished || f.On == ends[fact.statuses[0]]
		if !about || !tells || r.event == onFinished || r.event == onFailed { // the end of those is no event
			continue
		}
		if !slices.ContainsFunc(p.order, func(h *ranRun) bool { return h.function == i && h.by == r.id && h.event == f.On }) {
			missing = append(missing, wantedRun{i, "", r.began, "the end of the run " + r.id, false})
		}
	}
	return missing
}

// atRest reports whether everything that must happen has happened, by the account, and nothing has for a while.
func (p *player) atRest(calm time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open > 0 || time.Since(p.last) < calm {
		return false
	}
	for _, r := range p.order {
		if _, err := p.runFact(r); err != nil {
			return false
		}
	}
	return !slices.ContainsFunc(p.wanted(func(string) bool { return true }), func(w wantedRun) bool {
		return !w.perhaps && !p.met(p.app.Functions[w.function], w.dataID, w.began)
	})
}
