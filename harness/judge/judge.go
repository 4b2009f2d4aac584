package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
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
	expectation harness.Expectation
	trace       *harness.Trace
	options     Options

	hops        []harness.Hop
	anomalies   []int // hops that went wrong by themselves, whether or not the expectation mentions them
	differences []difference
	matched     map[*harness.TraceMail]bool // emails that match an entry of expectation.Mail
}

// A difference is one way in which the trace is not as expected.
type difference struct {
	hop     int // index into Judgement.hops
	text    string
	pending bool // more time may remove it
}

// Compare compares an expectation with what is known so far.
func Compare(e harness.Expectation, t *harness.Trace, o Options) *Judgement {
	j := &Judgement{expectation: e, trace: t, options: o, matched: map[*harness.TraceMail]bool{}}
	event := j.compareEvent()
	j.showFunctions(event)
	j.compareRuns()
	j.compareMail()
	return j
}

// Matches reports whether there is no difference.
func (j *Judgement) Matches() bool { return len(j.differences) == 0 }

// Broken reports whether there is a difference that more time cannot remove.
func (j *Judgement) Broken() bool {
	return slices.ContainsFunc(j.differences, func(d difference) bool { return !d.pending })
}

// Holds reports whether the expectation holds, whatever happens from now on.
func (j *Judgement) Holds() bool {
	return j.Matches() && (j.trace.Quiet && j.doubt() == "" || !j.trace.Quiet && !j.expectation.Denies())
}

// Doubtful reports whether nothing more can happen and nothing contradicts the expectation, but what it denies is not
// known to be absent.
func (j *Judgement) Doubtful() bool { return j.Matches() && j.trace.Quiet && j.doubt() != "" }

// doubt says why what the expectation denies is not known to be absent; "" where it is known.
func (j *Judgement) doubt() string {
	if j.expectation.NoOtherMail && j.trace.UnattributedMail > 0 {
		return fmt.Sprintf("%s since the event without a header that names a run of this server: name the recipients, or have the app set the header",
			text.Count(j.trace.UnattributedMail, "email has arrived", "emails have arrived"))
	}
	denies := j.expectation.NoOtherRuns || j.expectation.NoOtherMail || j.trace.OtherMailCount > 0
	if len(j.trace.UnattributedEvents) == 0 || !denies {
		return ""
	}
	e := j.trace.UnattributedEvents[0]
	return fmt.Sprintf("the app sent the event %s (%s) while a run was being called, and that run may have sent it: send it through a step, or, where it has another cause, ask for it first (Stack.AwaitEvent)",
		e.Name, e.EventID)
}

// Final returns the verdict when waiting longer makes no sense. What should have happened and did not is broken; what is
// denied and may still happen cannot be judged. waited is how long the caller has waited; zero where it did not.
func (j *Judgement) Final(took, waited time.Duration) *harness.Verdict {
	switch {
	case j.trace.Event == nil && len(j.trace.Runs) == 0:
		v := j.Verdict(harness.CannotBeJudged, took)
		v.Why = fmt.Sprintf("the Inngest server knows no event %s: give the id that sending the event returned, and ask the server that it was sent to", j.trace.EventID)
		return v
	case len(j.differences) > 0:
		v := j.Verdict(harness.Broken, took)
		if !j.Broken() && waited > 0 {
			v.Why += fmt.Sprintf(" (within %v)", waited)
		}
		return v
	case j.Doubtful():
		v := j.Verdict(harness.CannotBeJudged, took)
		v.Why = "nothing contradicts it, but " + j.doubt()
		return v
	case j.trace.Quiet || !j.expectation.Denies():
		return j.Verdict(harness.Holds, took)
	default:
		v := j.Verdict(harness.CannotBeJudged, took)
		after := ""
		if waited > 0 {
			after = fmt.Sprintf(" after %v", waited)
		}
		v.Why = fmt.Sprintf("nothing contradicts it, but%s more may still happen: %s", after, j.trace.Unquiet)
		return v
	}
}

// Verdict returns a verdict with the given outcome. Of a broken one it marks the first broken hop.
func (j *Judgement) Verdict(o harness.Outcome, took time.Duration) *harness.Verdict {
	v := &harness.Verdict{Outcome: o, Hops: j.hops, Took: took, Trace: j.trace}
	for _, d := range j.differences {
		v.Differences = append(v.Differences, d.text)
	}
	if o != harness.Broken && j.Matches() {
		// The expectation says nothing about what failed: a mark of failure would contradict the verdict.
		for i := range v.Hops {
			if v.Hops[i].State == harness.HopBroken {
				v.Hops[i].State = harness.HopFailed
			}
		}
	}
	switch o {
	case harness.Holds:
		v.Why = text.Count(len(j.trace.Runs), "run", "runs") + ", " + text.Count(len(j.trace.Mail), "email", "emails")
	case harness.Broken:
		first := j.firstBroken()
		v.Hops[first].First = true
		v.Hops[first].State = harness.HopBroken
		v.Why = j.why(first)
	}
	return v
}

// firstBroken returns the earliest hop that went wrong: one that differs from the expectation, or an earlier one that
// went wrong by itself and so explains the difference.
func (j *Judgement) firstBroken() int {
	// While there is a difference that is there for good, a pending one is not the cause.
	differences := slices.DeleteFunc(slices.Clone(j.differences), func(d difference) bool { return d.pending && j.Broken() })
	first := len(j.hops) - 1
	for _, d := range differences {
		first = min(first, d.hop)
	}
	if !slices.ContainsFunc(differences, func(d difference) bool { return j.hops[d.hop].State != harness.HopOK }) {
		return first
	}
	for _, a := range j.anomalies {
		first = min(first, a)
	}
	// A run comes before its steps in the tree, but where a step failed, the step is the hop.
	for i := first + 1; i < len(j.hops) && j.hops[i].Depth > j.hops[first].Depth; i++ {
		if j.hops[i].State == harness.HopBroken {
			return i
		}
	}
	return first
}

// why returns the sentence about the first broken hop.
func (j *Judgement) why(first int) string {
	for _, d := range j.differences {
		if d.hop == first {
			return sentence(d.text)
		}
	}
	h := j.hops[first]
	why := h.Text
	if len(h.Detail) > 0 {
		why += ": " + h.Detail[len(h.Detail)-1]
	}
	if len(j.differences) > 0 {
		why += "; so " + j.differences[0].text
	}
	return sentence(why)
}

// maxSentence bounds a sentence, in bytes.
const maxSentence = 300

// sentence makes one line of a text: all of it where it is short, else its first line.
func sentence(s string) string {
	if joined := text.OneLine(s); len(joined) <= maxSentence {
		return joined
	}
	first, _, _ := strings.Cut(s, "\n")
	return text.Clip(strings.TrimSuffix(first, ":"), maxSentence)
}

// addHop appends a hop and returns its index.
func (j *Judgement) addHop(depth int, state harness.HopState, format string, args ...any) int {
	j.hops = append(j.hops, harness.Hop{Depth: depth, State: state, Text: j.redact(fmt.Sprintf(format, args...))})
	if state == harness.HopBroken {
		j.anomalies = append(j.anomalies, len(j.hops)-1)
	}
	return len(j.hops) - 1
}

// fail adds a difference at a hop. A mendable one is pending until nothing more can happen.
func (j *Judgement) fail(hop int, mendable bool, format string, args ...any) {
	pending := mendable && !j.trace.Quiet
	j.differences = append(j.differences, difference{hop, j.redact(fmt.Sprintf(format, args...)), pending})
	if pending {
		j.hops[hop].State = harness.HopPending
	} else {
		j.hops[hop].State = harness.HopBroken
	}
}

// addDetail appends lines of evidence to a hop.
func (j *Judgement) addDetail(hop int, lines ...string) {
	for _, line := range lines {
		j.hops[hop].Detail = append(j.hops[hop].Detail, j.redact(line))
	}
}

// redact removes secrets. It must come before anything that shortens the text: half a secret is not recognised.
func (j *Judgement) redact(s string) string {
	if j.options.Redact == nil {
		return s
	}
	return j.options.Redact(s)
}
