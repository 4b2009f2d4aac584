package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// An Outcome is the result of a verdict.
type Outcome string

const (
	// Holds: everything that the expectation asserts is true, and nothing that it denies can still happen.
	Holds Outcome = "holds"
	// Broken: something that it asserts is false.
	Broken Outcome = "broken"
	// CannotBeJudged: nothing contradicts it, but it is not known to hold. The verdict says why.
	CannotBeJudged Outcome = "cannot be judged"
)

// A Verdict is the result of comparing an [Expectation] with a [Trace].
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Why is one sentence: the first broken hop and its cause, or why it cannot be judged, or what was found where it
	// holds.
	Why string `json:"why"`
	// Hops is the chain from event to email, in causal order.
	Hops []Hop `json:"hops"`
	// Differences lists every difference between the expectation and the trace.
	Differences []string `json:"differences,omitempty"`
	// Took is the time from the question to the verdict. In JSON it is a text such as "1.5s".
	Took  time.Duration `json:"took"`
	Trace *Trace        `json:"trace"`
}

// verdictJSON is a Verdict as JSON has it.
type verdictJSON struct {
	*plainVerdict
	Took jsontime.Duration `json:"took"`
}

type plainVerdict Verdict // without methods

// MarshalJSON implements [json.Marshaler].
func (v Verdict) MarshalJSON() ([]byte, error) {
	v.Hops = list(v.Hops)
	return json.Marshal(verdictJSON{(*plainVerdict)(&v), jsontime.Duration(v.Took)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (v *Verdict) UnmarshalJSON(data []byte) error {
	decoded := verdictJSON{plainVerdict: (*plainVerdict)(v)}
	err := json.Unmarshal(data, &decoded)
	v.Took = time.Duration(decoded.Took)
	return err
}

// A Hop is one link of the chain from event to email.
type Hop struct {
	// Depth is its depth in the tree of causes; the event has depth 0.
	Depth int      `json:"depth"`
	State HopState `json:"state"`
	Text  string   `json:"text"`
	// First marks the first broken hop.
	First bool `json:"first,omitempty"`
	// Detail has lines of evidence.
	Detail []string `json:"detail,omitempty"`
}

// HopState is the state of a hop.
type HopState string

// The states of a hop.
const (
	HopOK         HopState = "ok"
	HopBroken     HopState = "broken"
	HopPending    HopState = "pending"
	HopNotReached HopState = "not reached"
	// HopFailed is the state of a hop that failed and about which the expectation says nothing, in a verdict that is not
	// broken. The steps of a run that failed as expected are OK.
	HopFailed HopState = "failed"
)

// mark is the symbol that is printed for a state.
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

// ErrBroken and ErrCannotBeJudged classify a [VerdictError].
var (
	ErrBroken         = errors.New("expectation broken")
	ErrCannotBeJudged = errors.New("expectation cannot be judged")
)

// A VerdictError is the error of a verdict that does not hold. It matches [ErrBroken] or [ErrCannotBeJudged]; errors.As
// gives access to the verdict.
type VerdictError struct{ Verdict *Verdict }

// Error is the text of the whole verdict.
func (e *VerdictError) Error() string {
	return fmt.Sprintf("%v: %s", e.Unwrap(), strings.TrimPrefix(e.Verdict.String(), string(e.Verdict.Outcome)+": "))
}

// Unwrap returns ErrBroken or ErrCannotBeJudged.
func (e *VerdictError) Unwrap() error {
	if e.Verdict.Outcome == Broken {
		return ErrBroken
	}
	return ErrCannotBeJudged
}

// Err returns nil for a verdict that holds, else a [VerdictError].
func (v *Verdict) Err() error {
	if v.Outcome == Holds {
		return nil
	}
	return &VerdictError{v}
}

const (
	// logLines is how many of the app's last lines a verdict shows.
	logLines = 12
	// shownRuns is how many of the runs' addresses it shows.
	shownRuns = 5
	// detailLines and lineRunes bound what it shows of a text, such as an error. The trace has all of it.
	detailLines = 200
	lineRunes   = 500
)

// String prints the verdict for a person: the outcome, the causal chain with a mark at the first broken hop, the hint, all
// differences, the evidence, and, unless it holds, the end of the app's log.
func (v *Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", v.Outcome, shown(v.Why))
	for _, h := range v.Hops {
		indent := strings.Repeat("  ", h.Depth+1)
		fmt.Fprintf(&b, "%s%s %s", indent, h.State.mark(), shown(h.Text))
		if h.First {
			b.WriteString("   ← first broken hop")
		}
		b.WriteByte('\n')
		for _, d := range h.Detail {
			lines := strings.Split(strings.TrimRight(d, "\n"), "\n")
			for _, line := range lines[:min(len(lines), detailLines)] {
				fmt.Fprintf(&b, "%s    %s\n", indent, shown(line))
			}
			if more := len(lines) - detailLines; more > 0 {
				fmt.Fprintf(&b, "%s    … and %d lines more\n", indent, more)
			}
		}
	}
	if v.Trace != nil && v.Trace.Hint != "" && v.Outcome != Holds {
		fmt.Fprintf(&b, "  hint: %s\n", v.Trace.Hint)
	}
	if len(v.Differences) > 1 && v.Outcome != Holds {
		b.WriteString("  all differences:\n")
		for _, f := range v.Differences {
			fmt.Fprintf(&b, "    - %s\n", shown(f))
		}
	}
	if v.Trace != nil && len(v.Trace.Evidence) > 0 {
		quiet := "nothing more can happen"
		if !v.Trace.Quiet {
			quiet = "more may happen"
		}
		fmt.Fprintf(&b, "  evidence, %s after %s:\n", quiet, v.Took.Round(time.Millisecond))
		for _, e := range v.Trace.Evidence {
			fmt.Fprintf(&b, "    - %s\n", shown(e))
		}
	}
	if v.Outcome != Holds && v.Trace != nil {
		v.writeRuns(&b)
	}
	if v.Outcome != Holds && v.Trace != nil && len(v.Trace.Log) > 0 {
		tail := v.Trace.Log
		if len(tail) > logLines {
			tail = tail[len(tail)-logLines:]
		}
		b.WriteString("  the app's last lines:\n")
		for _, l := range tail {
			fmt.Fprintf(&b, "    %s\n", shown(l))
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// writeRuns writes where the first runs are to be seen, if they are.
func (v *Verdict) writeRuns(b *strings.Builder) {
	title := "  in Inngest's page:\n"
	for _, r := range v.Trace.Runs[:min(len(v.Trace.Runs), shownRuns)] {
		if r.URL != "" {
			fmt.Fprintf(b, "%s    %s  %s\n", title, shown(r.Function), shown(r.URL))
			title = ""
		}
	}
}

// shown returns a text as it is printed: of long lines their beginning, and escapes for what acts on a terminal.
func shown(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = text.Clip(strings.TrimRight(lines[i], "\r"), lineRunes)
	}
	return text.Safe(strings.Join(lines, "\n"))
}
