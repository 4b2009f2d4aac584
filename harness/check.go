package harness

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/mail"
	"reflect"
	"slices"
	"strings"
)

// finding is one difference between an expectation and a trace.
type finding struct {
	hop     int // index into checker.hops
	text    string
	pending bool // more time may mend it
}

// checker holds an expectation against a trace. It has no clock and asks nobody but the functions in its options: the
// same pair gives the same answer.
type checker struct {
	e Expectation
	t *Trace
	o JudgeOptions

	hops      []Hop
	anomalies []int // hops that went wrong by themselves, whether or not the expectation speaks of them
	findings  []finding
	mails     map[*TraceMail]bool // emails that an entry of e.Mail stands for
}

func check(e Expectation, t *Trace, o JudgeOptions) *checker {
	c := &checker{e: e, t: t, o: o, mails: map[*TraceMail]bool{}}
	event := c.event()
	c.functions(event)
	c.checkRuns(event)
	c.checkMail()
	return c
}

// hop appends a hop and returns its index.
func (c *checker) hop(depth int, state HopState, format string, args ...any) int {
	c.hops = append(c.hops, Hop{Depth: depth, State: state, Text: c.redact(fmt.Sprintf(format, args...))})
	if state == HopBroken {
		c.anomalies = append(c.anomalies, len(c.hops)-1)
	}
	return len(c.hops) - 1
}

// fail notes a difference at a hop. One that more time may mend is pending, until nothing more can happen.
func (c *checker) fail(hop int, mendable bool, format string, args ...any) {
	pending := mendable && !c.t.Quiet
	c.findings = append(c.findings, finding{hop, c.redact(fmt.Sprintf(format, args...)), pending})
	if pending {
		c.hops[hop].State = HopPending
	} else {
		c.hops[hop].State = HopBroken
	}
}

func (c *checker) detail(hop int, lines ...string) {
	for _, line := range lines {
		c.hops[hop].Detail = append(c.hops[hop].Detail, c.redact(line))
	}
}

// redact leaves secrets out of a text. It comes before anything cuts the text, since half a secret is not found.
func (c *checker) redact(text string) string {
	if c.o.redact == nil {
		return text
	}
	return c.o.redact(text)
}

func (c *checker) event() int {
	if c.t.Event == nil {
		return c.hop(0, HopPending, "event %s: the Inngest server does not know it", c.t.EventID)
	}
	return c.hop(0, HopOK, "event %s accepted (%s)", c.t.Event.Name, c.t.EventID)
}

// functions shows who listens, and is the broken hop where nobody does.
func (c *checker) functions(event int) {
	if c.t.Event == nil || len(c.t.Runs) > 0 {
		return
	}
	if len(c.t.Functions) == 0 {
		h := c.hop(c.hops[event].Depth+1, HopBroken, "no function is registered for %s", c.t.Event.Name)
		if c.t.SyncError != "" {
			c.detail(h, "the app is not synced; its last sync failed: "+c.t.SyncError)
		}
		return
	}
	for _, f := range c.t.Functions {
		switch {
		case c.t.Event.DuplicateOf != "":
			h := c.hop(1, HopBroken, "%s was not started: the event's id %q was used before", f.ID, c.t.Event.ID)
			c.detail(h, "the server drops an event whose id it has seen within 24 hours, and starts nothing for it;",
				"the event that counts is "+c.t.Event.DuplicateOf)
		case f.Conditional:
			c.hop(1, HopPending, "%s listens, on a condition or in batches, and has not started", f.ID)
		default:
			c.hop(1, HopPending, "%s listens and has not started", f.ID)
		}
	}
}

func (c *checker) checkRuns(event int) {
	// Every entry gets a run of its own: one that satisfies it, else one of its function that is left.
	runs := newPairing(pointers(c.t.Runs), func(i int, r *TraceRun) bool {
		want := c.e.Runs[i]
		return r.is(want.Function) && len(c.runDiffs(want, r)) == 0
	})
	for i := range c.e.Runs {
		runs.give(i)
	}
	assigned := make([]*TraceRun, len(c.e.Runs))
	for i := range assigned {
		if own := runs.of(i); len(own) > 0 {
			assigned[i] = own[0]
		}
	}
	for i, want := range c.e.Runs {
		left := slices.DeleteFunc(c.t.runsOf(want.Function), func(r *TraceRun) bool { return slices.Contains(assigned, r) })
		if assigned[i] == nil && len(left) > 0 {
			assigned[i] = left[0]
		}
	}
	for i := range c.t.Runs {
		r := &c.t.Runs[i]
		if j := slices.Index(assigned, r); j >= 0 {
			c.run(&c.e.Runs[j], r)
		} else {
			c.run(nil, r)
		}
	}
	for i, want := range c.e.Runs {
		if assigned[i] == nil {
			c.missingRun(want)
		}
	}
}

func pointers[T any](list []T) []*T {
	var all []*T
	for i := range list {
		all = append(all, &list[i])
	}
	return all
}

// missingRun says that there is no run of a function.
func (c *checker) missingRun(want RunExpectation) {
	listens := slices.ContainsFunc(c.t.Functions, func(f TraceFunction) bool {
		return f.ID == want.Function || f.App+"-"+f.ID == want.Function
	})
	h := c.hop(1, HopPending, "no run of %s", want.Function)
	switch {
	case c.t.Event == nil:
		c.fail(h, true, "there is no run of %s", want.Function)
	case !listens && len(c.t.Runs) == 0:
		c.fail(h, !c.unheard(), "there is no run of %s: no function of that id listens for %s; %s", want.Function, c.t.Event.Name, c.listeners())
	default:
		c.fail(h, true, "there is no run of %s, or no further one", want.Function)
	}
}

// unheard says that nobody listens for the event, so that more time mends nothing.
func (c *checker) unheard() bool {
	return c.t.Event != nil && c.t.Event.DuplicateOf == "" && len(c.t.Functions) == 0 && len(c.t.Runs) == 0
}

func (c *checker) listeners() string {
	if len(c.t.Functions) == 0 {
		return "nobody does"
	}
	var ids []string
	for _, f := range c.t.Functions {
		ids = append(ids, f.ID)
	}
	return strings.Join(ids, ", ") + " does"
}

// run shows a run with its steps, and its differences from what was expected of it, if anything was.
func (c *checker) run(want *RunExpectation, r *TraceRun) {
	text := fmt.Sprintf("run of %s %s (%s)", r.Function, r.Status, r.ID)
	if r.Inferred {
		text += " (tied to this event by time: the app sent the event that started it while an earlier run was being called)"
	}
	state := HopOK
	switch {
	case !terminal(r.Status):
		state = HopPending
	case r.Status != StatusCompleted && (want == nil || want.Status != r.Status):
		state = HopBroken
	}
	h := c.hop(1, state, "%s", text)
	if r.Error != "" && len(r.Steps) == 0 {
		c.detail(h, "error: "+r.Error)
	}
	if want == nil && c.e.NoOtherRuns {
		c.fail(h, false, "there is a run that was not expected: %s of %s", r.ID, r.Function)
	}
	steps := make(map[string]int)
	for i := range r.Steps {
		steps[r.Steps[i].ID] = c.step(want, &r.Steps[i])
	}
	failedInStep := slices.ContainsFunc(r.Steps, func(s TraceStep) bool { return s.Status == StatusFailed })
	if state == HopBroken && r.Error != "" && len(r.Steps) > 0 && !failedInStep {
		c.detail(c.hop(2, HopBroken, "the function failed outside its steps"), "error: "+r.Error)
	}
	if want == nil {
		return
	}
	for _, d := range c.runDiffs(*want, r) {
		at := h
		if d.step != "" {
			var ok bool
			if at, ok = steps[d.step]; !ok {
				at = c.hop(2, HopNotReached, "step %s was not reached", d.step)
				steps[d.step] = at
			}
		}
		c.fail(at, !terminal(r.Status), "%s", d.text)
	}
}

func (c *checker) step(run *RunExpectation, s *TraceStep) int {
	state := HopOK
	switch {
	case s.Status == StatusFailed && !run.allowsFailureOf(s.ID):
		state = HopBroken
	case !terminal(s.Status):
		state = HopPending
	}
	text := fmt.Sprintf("step %s %s", s.ID, s.Status)
	if n := len(s.Attempts); n > 1 {
		text += fmt.Sprintf(" after %d attempts", n)
	}
	h := c.hop(2, state, "%s", text)
	for i, a := range s.Attempts {
		if a.Error != "" {
			c.detail(h, fmt.Sprintf("attempt %d: %s", i+1, a.Error))
		}
	}
	if s.Error != "" && !slices.ContainsFunc(s.Attempts, func(a TraceAttempt) bool { return a.Error == s.Error }) {
		c.detail(h, "error: "+s.Error)
	}
	return h
}

func (r *RunExpectation) allowsFailureOf(step string) bool {
	return r != nil && slices.ContainsFunc(r.Steps, func(s StepExpectation) bool { return s.ID == step && s.Status == StatusFailed })
}

// diff is one way in which a run is not as expected: of the run itself, or of one of its steps.
type diff struct{ step, text string }

func (c *checker) runDiffs(want RunExpectation, r *TraceRun) []diff {
	var diffs []diff
	add := func(step, format string, args ...any) {
		diffs = append(diffs, diff{step, fmt.Sprintf(format, args...)})
	}
	// Steps come first, since the run ends as it does because of them.
	for _, ws := range want.Steps {
		s := r.step(ws.ID)
		if s == nil {
			add(ws.ID, "run of %s: step %s was not reached; its steps are %s", want.Function, ws.ID, r.stepIDs())
			continue
		}
		what := fmt.Sprintf("step %s of %s", ws.ID, want.Function)
		if ws.Status != "" && ws.Status != s.Status {
			add(ws.ID, "%s: status is %s, want %s%s", what, s.Status, ws.Status, because(s.Error))
		}
		if ws.Attempts != 0 && !terminal(s.Status) {
			add(ws.ID, "%s: it is %s, so that its attempts cannot be counted yet", what, s.Status)
		} else if ws.Attempts != 0 && ws.Attempts != len(s.Attempts) {
			add(ws.ID, "%s: it was tried %s, want %d", what, count(len(s.Attempts), "time", "times"), ws.Attempts)
		}
		if text := c.outputDiff(ws.Output, s.Output); text != "" {
			add(ws.ID, "%s: %s", what, text)
		}
		if !strings.Contains(s.Error, ws.Error) {
			add(ws.ID, "%s: error is %q, want one with %q", what, s.Error, ws.Error)
		}
	}
	what := "run of " + want.Function
	if want.Status != "" && want.Status != r.Status {
		add("", "%s: status is %s, want %s%s", what, r.Status, want.Status, because(r.Error))
	}
	if text := c.outputDiff(want.Output, r.Output); text != "" {
		add("", "%s: %s", what, text)
	}
	if !strings.Contains(r.Error, want.Error) {
		add("", "%s: error is %q, want one with %q", what, r.Error, want.Error)
	}
	return diffs
}

func because(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}

func (r *TraceRun) stepIDs() string {
	if len(r.Steps) == 0 {
		return "none"
	}
	var ids []string
	for _, s := range r.Steps {
		ids = append(ids, s.ID)
	}
	return strings.Join(ids, ", ")
}

// outputDiff says how got differs from want, or returns "". Of an object only the fields that want names count.
func (c *checker) outputDiff(want, got json.RawMessage) string {
	if len(want) == 0 {
		return ""
	}
	var w, g any
	if err := json.Unmarshal(want, &w); err != nil {
		return fmt.Sprintf("the expected output is not JSON: %v", err)
	}
	if len(got) > 0 {
		if err := json.Unmarshal(got, &g); err != nil {
			return fmt.Sprintf("the output is not JSON: %v", err)
		}
	}
	if where := c.mismatch("output", w, g); where != "" {
		return where
	}
	return ""
}

// mismatch returns the first place where got is not as want says.
func (c *checker) mismatch(at string, want, got any) string {
	w, ok := want.(map[string]any)
	if !ok {
		if reflect.DeepEqual(want, got) {
			return ""
		}
		return fmt.Sprintf("%s is %s, want %s", at, c.compact(got), c.compact(want))
	}
	g, ok := got.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s is %s, want an object with %s", at, c.compact(got), c.compact(want))
	}
	for _, key := range slices.Sorted(maps.Keys(w)) {
		v, ok := g[key]
		if !ok {
			return fmt.Sprintf("%s has no field %q, want %s", at, key, c.compact(w[key]))
		}
		if text := c.mismatch(at+"."+key, w[key], v); text != "" {
			return text
		}
	}
	return ""
}

func (c *checker) compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return shorten(c.redact(string(data)), 200)
}

func addresses(list []*mail.Address) string {
	var all []string
	for _, a := range list {
		all = append(all, a.Address)
	}
	return strings.Join(all, ", ")
}
