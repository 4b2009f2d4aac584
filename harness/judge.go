package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

// JudgeOptions says how long and with what to judge. The zero value is ready to use.
type JudgeOptions struct {
	// Timeout is how long the verdict may wait for what should happen. Zero: 10 s. A verdict that can be given
	// earlier is given earlier.
	Timeout time.Duration

	// Golden compares an email with the golden of that name; its error says how they differ. Nil: an expectation
	// that names a golden is broken.
	Golden func(name string, m *TraceMail) error

	// Resolve says why there is no page at a URL that an email links to, for the check "resolve". Nil: pages of the app
	// and of this machine are asked for, and links to others pass.
	Resolve func(url string) error

	// redact and show leave secrets out of a text and an email. Nil: they are left as they are.
	redact func(text string) string
	show   func(*TraceMail) *TraceMail
}

// judgeTimeout is the default of JudgeOptions.Timeout.
const judgeTimeout = 10 * time.Second

// Judge waits until an expectation of what follows from an event is settled, and returns the verdict. eventID is the
// ULID that sending the event returned. The error says that the question was wrong, or that ctx ended; everything else
// is a verdict.
//
// What an expectation asserts holds as soon as it is so. What it denies (an absent email, no other runs, an exact
// number of copies) holds only when nothing more can happen: the event was picked up, every run that descends from it
// has ended, and the inbox has been read to its end since. Where that cannot be known in time, the verdict is
// [CannotBeJudged].
func (s *Stack) Judge(ctx context.Context, eventID string, e Expectation, o JudgeOptions) (*Verdict, error) {
	v, err := s.judge(ctx, eventID, e, o)
	return s.redactVerdict(v), s.redactError(err)
}

// judge is Judge, with the secrets in the verdict: what an expectation says of them is compared with what they are.
func (s *Stack) judge(ctx context.Context, eventID string, e Expectation, o JudgeOptions) (*Verdict, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = judgeTimeout
	}
	if o.Resolve == nil {
		env, _ := s.Env()
		pages := mailcheck.NewResolver(env.AppURL)
		o.Resolve = func(url string) error { return pages.Resolve(ctx, url) }
	}
	o.redact, o.show = s.Redact, s.redactMail
	began := time.Now()
	s.ledger.claim(keyRoot(eventID))
	tr := s.newTracer(eventID, e.recipients())
	defer tr.close()

	deadline, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	for {
		trace, err := tr.take(deadline)
		if err != nil {
			// A server that is away may come back: that is for the deadline to decide.
			if tr.wait(deadline) != nil {
				return s.atDeadline(ctx, tr, e, o, began)
			}
			continue
		}
		c := check(e, trace, o)
		switch {
		case c.broken() && tr.settle(deadline):
			// The server saves the end of a run before all that belongs to it: one more look before a verdict that
			// cannot be taken back.
			continue
		case c.broken():
			return c.verdict(Broken, time.Since(began)), nil
		case c.met() && trace.Quiet && c.doubt() != "":
			return c.doubtful(time.Since(began)), nil
		case c.met() && (trace.Quiet || !e.negative()):
			return c.verdict(Holds, time.Since(began)), nil
		}
		if tr.wait(deadline) != nil {
			return s.atDeadline(ctx, tr, e, o, began)
		}
	}
}

// Trace returns what is known, now, of what followed from an event. recipients are addresses whose emails belong to it
// if they arrived since and name no run.
func (s *Stack) Trace(ctx context.Context, eventID string, recipients ...string) (*Trace, error) {
	tr := s.newTracer(eventID, recipients)
	defer tr.close()
	trace, err := tr.take(ctx)
	return s.redactTrace(trace), s.redactError(err)
}

// lastLook bounds the look at how things stand when the time is up.
const lastLook = 2 * time.Second

// atDeadline judges how things stand when the time is up. What should have happened and did not is broken; what may
// still happen, but was denied, cannot be judged.
func (s *Stack) atDeadline(ctx context.Context, tr *tracer, e Expectation, o JudgeOptions, began time.Time) (*Verdict, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("judge event %s: %w", tr.eventID, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, lastLook)
	defer cancel()
	tr.struck = true
	trace, err := tr.take(ctx)
	took := time.Since(began)
	if err != nil {
		why := fmt.Sprintf("what happened cannot be read: %v", err)
		trace := &Trace{EventID: tr.eventID, Unquiet: why, Evidence: []string{why}, Taken: time.Now(), Log: s.appLog(tr.since)}
		return &Verdict{Outcome: CannotBeJudged, Why: why, Took: took, Trace: trace}, nil
	}
	c := check(e, trace, o)
	if trace.Event == nil && len(trace.Runs) == 0 {
		v := c.verdict(CannotBeJudged, took)
		v.Why = fmt.Sprintf("the Inngest server knows no event %s: give the id that sending the event returned, and ask the server that it was sent to", tr.eventID)
		return v, nil
	}
	return c.last(took, o.Timeout), nil
}

// Check holds the expectation against a trace that is as complete as it will be: one that was recorded, or that of an
// executor in this process. The verdict is the one that [Stack.Judge] gives when its time is up. The error says that the
// expectation is not valid. Of the options those for emails count.
func (e Expectation) Check(t *Trace, o JudgeOptions) (*Verdict, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return check(e, t, o).last(0, 0), nil
}

// last is the verdict when there is nothing more to wait for; waited is how long it was waited for.
func (c *checker) last(took, waited time.Duration) *Verdict {
	switch {
	case len(c.findings) > 0:
		v := c.verdict(Broken, took)
		if !c.broken() && waited > 0 {
			v.Why += fmt.Sprintf(" (within %v)", waited)
		}
		return v
	case c.t.Quiet && c.doubt() != "":
		return c.doubtful(took)
	case c.t.Quiet || !c.e.negative():
		return c.verdict(Holds, took)
	default:
		v := c.verdict(CannotBeJudged, took)
		after := ""
		if waited > 0 {
			after = fmt.Sprintf(" after %v", waited)
		}
		v.Why = fmt.Sprintf("nothing contradicts it, but%s more may still happen: %s", after, c.t.Unquiet)
		return v
	}
}

// doubtful is the verdict when there is something of which nobody can tell whether the expectation denies it.
func (c *checker) doubtful(took time.Duration) *Verdict {
	v := c.verdict(CannotBeJudged, took)
	v.Why = "nothing contradicts it, but " + c.doubt()
	return v
}

// doubt says what that is; "" where there is none.
func (c *checker) doubt() string {
	if c.e.NoOtherMail && c.t.StrayMail > 0 {
		return fmt.Sprintf("%s since the event without a header that names a run of this server: name the recipients, or have the app set the header",
			count(c.t.StrayMail, "email has come", "emails have come"))
	}
	return c.suspicion()
}

// recipients are the addresses that an expectation speaks of.
func (e Expectation) recipients() []string {
	var to []string
	for _, m := range e.Mail {
		to = append(to, m.To)
	}
	return to
}

// broken says whether some difference is there for good.
func (c *checker) broken() bool {
	return slices.ContainsFunc(c.findings, func(f finding) bool { return !f.pending })
}

// met says whether there is no difference.
func (c *checker) met() bool { return len(c.findings) == 0 }

// verdict makes the verdict and marks the first broken hop.
func (c *checker) verdict(o Outcome, took time.Duration) *Verdict {
	v := &Verdict{Outcome: o, Hops: c.hops, Took: took, Trace: c.t}
	for _, f := range c.findings {
		v.Findings = append(v.Findings, f.text)
	}
	if o != Broken && c.met() {
		// What failed is nothing that was asked about: a mark of failure would contradict the verdict.
		for i := range v.Hops {
			if v.Hops[i].State == HopBroken {
				v.Hops[i].State = HopFailed
			}
		}
	}
	switch o {
	case Holds:
		v.Why = count(len(c.t.Runs), "run", "runs") + ", " + count(len(c.t.Mail), "email", "emails")
	case Broken:
		first := c.firstBroken()
		v.Hops[first].First = true
		v.Hops[first].State = HopBroken
		v.Why = c.why(first)
	}
	return v
}

// firstBroken returns the earliest hop that went wrong: one that differs from the expectation, or one before it that
// went wrong by itself and so explains the difference.
func (c *checker) firstBroken() int {
	// What more time may mend is not to blame while there is something that it cannot.
	findings := slices.DeleteFunc(slices.Clone(c.findings), func(f finding) bool { return f.pending && c.broken() })
	first := len(c.hops) - 1
	for _, f := range findings {
		first = min(first, f.hop)
	}
	missing := slices.ContainsFunc(findings, func(f finding) bool { return c.hops[f.hop].State != HopOK })
	if !missing {
		return first
	}
	for _, a := range c.anomalies {
		first = min(first, a)
	}
	// A step that failed is why its run failed: the run stands before its steps, but the step is the hop.
	for i := first + 1; i < len(c.hops) && c.hops[i].Depth > c.hops[first].Depth; i++ {
		if c.hops[i].State == HopBroken {
			return i
		}
	}
	return first
}

// why is the sentence about the first broken hop.
func (c *checker) why(first int) string {
	for _, f := range c.findings {
		if f.hop == first {
			return oneLine(f.text)
		}
	}
	h := c.hops[first]
	text := h.Text
	if len(h.Detail) > 0 {
		text += ": " + h.Detail[len(h.Detail)-1]
	}
	if len(c.findings) > 0 {
		text += "; so " + c.findings[0].text
	}
	return oneLine(text)
}

// oneLine makes a sentence of a text that may be a page: its lines joined while they are few, else the first of them.
// The rest stands in the tree.
func oneLine(text string) string {
	const enough = 300
	joined := strings.Join(strings.Fields(text), " ")
	if len(joined) <= enough {
		return joined
	}
	first, _, _ := strings.Cut(text, "\n")
	return shorten(strings.TrimSuffix(first, ":"), enough)
}
