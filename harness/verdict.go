package harness

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// An Outcome is what a verdict comes to.
type Outcome string

const (
	// Holds: everything the expectation asserts is so, and what it denies can no longer happen.
	Holds Outcome = "holds"
	// Broken: something it asserts is not so.
	Broken Outcome = "broken"
	// CannotBeJudged: nothing contradicts it, but it cannot be known to hold, and the verdict says why.
	CannotBeJudged Outcome = "cannot be judged"
)

// A Verdict is an [Expectation] held against a [Trace].
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Why is one sentence: the first broken hop and its cause, or why it cannot be judged, or what makes it hold.
	Why string `json:"why"`
	// Hops is the chain from event to email, in causal order.
	Hops []Hop `json:"hops"`
	// Findings are all the differences between what should have been and what was.
	Findings []string `json:"findings,omitempty"`
	// Took is the time from the question to the verdict.
	Took  time.Duration `json:"took"`
	Trace *Trace        `json:"trace"`
}

// A Hop is one link of the chain from event to email.
type Hop struct {
	// Depth is how far it is indented below the hop that caused it.
	Depth int      `json:"depth"`
	State HopState `json:"state"`
	Text  string   `json:"text"`
	// First marks the first broken hop.
	First bool `json:"first,omitempty"`
	// Detail are lines of evidence.
	Detail []string `json:"detail,omitempty"`
}

// HopState says how a hop went.
type HopState string

const (
	HopOK         HopState = "ok"
	HopBroken     HopState = "broken"
	HopPending    HopState = "pending"
	HopNotReached HopState = "not reached"
	// HopFailed is one that failed and that the expectation does not speak of, in a verdict that is not broken.
	HopFailed HopState = "failed"
)

// mark is how a hop's state is printed.
func (s HopState) mark() string {
	switch s {
	case HopOK:
		return "✓"
	case HopBroken:
		return "✗"
	case HopPending:
		return "…"
	case HopFailed:
		return "–"
	default:
		return "·"
	}
}

// ErrBroken and ErrCannotBeJudged are what [Verdict.Err] wraps.
var (
	ErrBroken         = errors.New("expectation broken")
	ErrCannotBeJudged = errors.New("expectation cannot be judged")
)

// Err returns nil for a verdict that holds, else an error whose text is the whole verdict.
func (v *Verdict) Err() error {
	switch v.Outcome {
	case Holds:
		return nil
	case Broken:
		return fmt.Errorf("%w: %s", ErrBroken, strings.TrimPrefix(v.String(), "broken: "))
	default:
		return fmt.Errorf("%w: %s", ErrCannotBeJudged, strings.TrimPrefix(v.String(), "cannot be judged: "))
	}
}

// logLines is how many of the app's last lines a failed verdict shows.
const logLines = 12

// String prints the verdict for a person: the outcome, the causal chain with a mark at the first broken hop, what was
// there instead, the evidence, and the end of the app's log where it helps.
func (v *Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", v.Outcome, v.Why)
	for _, h := range v.Hops {
		indent := strings.Repeat("  ", h.Depth+1)
		fmt.Fprintf(&b, "%s%s %s", indent, h.State.mark(), h.Text)
		if h.First {
			b.WriteString("   ← first broken hop")
		}
		b.WriteByte('\n')
		for _, d := range h.Detail {
			for line := range strings.Lines(d) {
				fmt.Fprintf(&b, "%s    %s\n", indent, strings.TrimRight(line, "\n"))
			}
		}
	}
	if len(v.Findings) > 1 && v.Outcome != Holds {
		b.WriteString("  all differences:\n")
		for _, f := range v.Findings {
			fmt.Fprintf(&b, "    - %s\n", f)
		}
	}
	if v.Trace != nil && len(v.Trace.Evidence) > 0 {
		quiet := "nothing more can happen"
		if !v.Trace.Quiet {
			quiet = "more may happen"
		}
		fmt.Fprintf(&b, "  evidence, %s after %s:\n", quiet, v.Took.Round(time.Millisecond))
		for _, e := range v.Trace.Evidence {
			fmt.Fprintf(&b, "    - %s\n", e)
		}
	}
	if v.Outcome != Holds && v.Trace != nil && len(v.Trace.Log) > 0 {
		tail := v.Trace.Log
		if len(tail) > logLines {
			tail = tail[len(tail)-logLines:]
		}
		b.WriteString("  the app's last lines:\n")
		for _, l := range tail {
			fmt.Fprintf(&b, "    %s\n", l)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}
