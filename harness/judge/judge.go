package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// Options configures a judgement. The zero value is ready to use.
type Options struct {
	// Golden compares an email with the golden email of that name. Its error says how they differ. Nil: an expectation
	// that names a golden is broken.
	Golden func(name string, m *harness.TraceMail) error

	// Resolve returns an error that says why no page exists at a URL that an email links to, for
	// [harness.CheckResolve]. Nil: the check passes.
	Resolve func(url string) error

	// Redact removes secrets from a text, Show from an email. Nil: they stay as they are.
	Redact func(text string) string
	Show   func(*harness.TraceMail) *harness.TraceMail
}

// Judge compares an expectation with a trace that is complete: a recorded one, or one that was taken when the time was
// up. The error says that the expectation is not valid.
func Judge(e harness.Expectation, t *harness.Trace, o Options) (*harness.Verdict, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return Compare(e, t, o).Final(0, 0), nil
}

// A Judgement is an expectation compared with a trace that may not be complete yet. It has no clock and does no I/O
// beside the functions in its options: the same pair gives the same result.
type Judgement struct {
	chain
	expectation harness.Expectation
	trace       *harness.Trace
	options     Options
	unknown     []string // what the expectation asserts and nothing can tell
}

// Compare compares an expectation with what is known so far.
func Compare(e harness.Expectation, t *harness.Trace, o Options) *Judgement {
	j := &Judgement{chain: chain{redact: o.Redact, quiet: t.Quiet}, expectation: e, trace: t, options: o}
	if j.redact == nil {
		j.redact = func(s string) string { return s }
	}
	runComparison{j}.run()
	if t.MailUnknown == "" {
		mailComparison{j, map[received]bool{}}.run()
	} else if len(e.Mail) > 0 || e.NoOtherMail {
		j.addHop(1, harness.HopPending, "emails cannot be read: %s", t.MailUnknown)
		j.unknown = append(j.unknown, "emails cannot be read: "+t.MailUnknown)
	}
	return j
}

// Holds reports whether the expectation holds, whatever happens from now on.
func (j *Judgement) Holds() bool {
	return j.matches() && len(j.unknown) == 0 && (j.trace.Quiet && j.doubt() == "" || !j.trace.Quiet && !j.expectation.Denies())
}

// Doubtful reports whether nothing contradicts the expectation, and waiting longer makes no difference, but it is not known to
// hold: what it denies may be there, or what it asserts cannot be seen.
func (j *Judgement) Doubtful() bool {
	settled := j.trace.Quiet || len(j.unknown) > 0 && j.trace.Event != nil && !j.expectation.Denies()
	return j.matches() && settled && j.doubt() != ""
}

// unsubscribed reports whether no function is subscribed to the event, so that waiting makes no difference.
func (j *Judgement) unsubscribed() bool {
	return j.trace.FunctionsUnknown == "" && j.trace.Event != nil && j.trace.Event.DuplicateOf == "" && len(j.trace.Functions) == 0 && len(j.trace.Runs) == 0
}

// doubt says why what the expectation denies is not known to be absent, or what it asserts to be there; "" where it is known.
func (j *Judgement) doubt() string {
	if len(j.unknown) > 0 {
		return j.unknown[0]
	}
	if j.expectation.NoOtherMail && j.trace.UnattributedMail > 0 {
		return fmt.Sprintf("%s since the event without a header that names a run of this server: name the recipients, or have the "+
			"app set the header",
			text.Count(j.trace.UnattributedMail, "email has arrived", "emails have arrived"))
	}
	denies := j.expectation.NoOtherRuns || j.expectation.NoOtherMail || j.trace.OtherMailCount > 0
	if len(j.trace.UnattributedEvents) == 0 || !denies {
		return ""
	}
	return j.unattributed()
}

// mayBeUnattributed reports whether all that is missing may be there: functions that unattributed events started, and
// emails that their runs may have sent.
func (j *Judgement) mayBeUnattributed() bool {
	may := func(d difference) bool {
		if len(j.trace.UnattributedFunctions) == 0 || d.pending {
			return false
		}
		if d.remedy.to != "" {
			sentTo := func(m harness.MailSummary) bool { return address.In(d.remedy.to, m.To) }
			return j.trace.OtherMailCount > len(j.trace.OtherMail) || slices.ContainsFunc(j.trace.OtherMail, sentTo)
		}
		return slices.ContainsFunc(j.trace.UnattributedFunctions,
			func(f harness.TraceFunction) bool { return j.trace.IsCalled(&f, d.remedy.function) })
	}
	return !slices.ContainsFunc(j.differences, func(d difference) bool { return !may(d) })
}

// unattributed says why it is not known whether more belongs to the trace.
func (j *Judgement) unattributed() string {
	if len(j.trace.UnattributedEvents) == 0 {
		return fmt.Sprintf("the app sent an event that starts %s outside its steps while a run was being called, and on a shared "+
			"stack "+
			"it cannot be attributed to a run: send it through a step, or use a stack of your own", j.trace.UnattributedFunctions[0].ID)
	}
	e := j.trace.UnattributedEvents[0]
	return fmt.Sprintf("the app sent the event %s (%s) while a run was being called, and that run may have sent it: send it "+
		"through a step, or, where it has another cause, ask for it first (in Go, Stack.AwaitEvent)",
		e.Name, e.EventID)
}

// Final returns the verdict when waiting longer makes no sense. What should have happened and did not is broken, unless the
// app itself waits for longer; that, and what is denied and may still happen, cannot be judged. waited is how long the caller has waited; zero where it did not.
func (j *Judgement) Final(took, waited time.Duration) *harness.Verdict {
	switch {
	case j.trace.Event == nil && len(j.trace.Runs) == 0:
		v := j.verdict(harness.CannotBeJudged, took)
		v.Why = fmt.Sprintf("the Inngest server knows no event %s: give the id that sending the event returned, and ask the "+
			"server that it was sent to", j.trace.EventID)
		return v
	case len(j.differences) > 0 && j.mayBeUnattributed():
		why := j.differences[0].text
		for _, d := range j.differences {
			j.hops[d.hop].State = harness.HopPending
		}
		v := j.verdict(harness.CannotBeJudged, took)
		v.Why = sentence(why) + ", as far as can be known, but " + j.unattributed()
		return v
	case len(j.differences) > 0 && !j.Broken() && waited > 0 && j.waits() != "":
		v := j.verdict(harness.CannotBeJudged, took)
		v.Why = fmt.Sprintf("%s, but after %v that may still change: %s", sentence(j.differences[0].text), waited, j.waits())
		return v
	case len(j.differences) > 0:
		v := j.verdict(harness.Broken, took)
		if !j.Broken() && waited > 0 {
			v.Why += fmt.Sprintf(" (within %v)", waited)
		}
		return v
	case j.Doubtful(), j.matches() && len(j.unknown) > 0:
		v := j.verdict(harness.CannotBeJudged, took)
		v.Why = "nothing contradicts it, but " + j.doubt()
		return v
	case j.trace.Quiet || !j.expectation.Denies():
		return j.verdict(harness.Holds, took)
	default:
		v := j.verdict(harness.CannotBeJudged, took)
		after := ""
		if waited > 0 {
			after = fmt.Sprintf(" after %v", waited)
		}
		v.Why = fmt.Sprintf("nothing contradicts it, but%s more may still happen: %s", after, j.trace.Unquiet)
		return v
	}
}

// verdict returns a verdict with the given outcome. Of a broken one it marks the first broken hop.
func (j *Judgement) verdict(o harness.Outcome, took time.Duration) *harness.Verdict {
	v := &harness.Verdict{Outcome: o, Hops: j.hops, Took: took, Trace: j.trace}
	for _, d := range j.differences {
		v.Differences = append(v.Differences, d.text)
	}
	if o != harness.Broken && j.matches() {
		// The expectation says nothing about what failed: a mark of failure would contradict the verdict.
		for i := range v.Hops {
			if v.Hops[i].State == harness.HopBroken {
				v.Hops[i].State = harness.HopFailed
			}
		}
	}
	switch o {
	case harness.Holds:
		v.Why = text.Count(len(j.trace.Runs), "run", "runs") + ", " + text.Count(len(mailComparison{Judgement: j}.allReceived()),
			"email", "emails")
	case harness.Broken:
		first := j.firstBroken()
		v.Hops[first].First = true
		v.Hops[first].State = harness.HopBroken
		v.Why = j.why(first)
	}
	return v
}
