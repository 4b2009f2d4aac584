package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// A chain is the way from the event to the emails, hop by hop, with the differences from what was expected.
type chain struct {
	// redact removes secrets. It must come before anything that shortens a text: half a secret is not recognised.
	redact func(string) string
	quiet  bool // nothing more can happen

	hops        []harness.Hop
	anomalies   []int // hops that went wrong by themselves, whether or not the expectation mentions them
	differences []difference
}

// A difference is one way in which the trace is not as expected.
type difference struct {
	hop     int // index into chain.hops
	text    string
	pending bool // more time may remove it
	excess  bool // there is more than was expected, or what should have failed has not
	remedy  remedy
}

// A remedy is what may remove a difference if it is there: a run of a function, or an email to an address.
type remedy struct{ function, to string }

// matches reports whether there is no difference.
func (c *chain) matches() bool { return len(c.differences) == 0 }

// Broken reports whether there is a difference that more time cannot remove.
func (c *chain) Broken() bool {
	return slices.ContainsFunc(c.differences, func(d difference) bool { return !d.pending })
}

// firstBroken returns the earliest hop that went wrong: one that differs from the expectation, or an earlier one that
// went wrong by itself and so explains the difference. It explains what is missing, not what is there in excess.
func (c *chain) firstBroken() int {
	// While there is a difference that is there for good, a pending one is not the cause.
	differences := slices.DeleteFunc(slices.Clone(c.differences), func(d difference) bool { return d.pending && c.Broken() })
	first := len(c.hops) - 1
	for _, d := range differences {
		first = min(first, d.hop)
	}
	if len(differences) > 0 && !slices.ContainsFunc(differences, func(d difference) bool { return !d.excess }) {
		return first
	}
	for _, a := range c.anomalies {
		first = min(first, a)
	}
	// A run comes before its steps in the tree, but where a step failed, the step is the hop.
	for i := first + 1; i < len(c.hops) && c.hops[i].Depth > c.hops[first].Depth; i++ {
		if c.hops[i].State == harness.HopBroken {
			return i
		}
	}
	return first
}

// why returns the sentence about the first broken hop.
func (c *chain) why(first int) string {
	for _, d := range c.differences {
		if d.hop == first {
			return sentence(d.text)
		}
	}
	h := c.hops[first]
	why := h.Text
	if len(h.Detail) > 0 {
		why += ": " + h.Detail[len(h.Detail)-1]
	}
	if len(c.differences) > 0 {
		why += "; so " + c.differences[0].text
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
func (c *chain) addHop(depth int, state harness.HopState, format string, args ...any) int {
	c.hops = append(c.hops, harness.Hop{Depth: depth, State: state, Text: c.redact(fmt.Sprintf(format, args...))})
	if state == harness.HopBroken {
		c.anomalies = append(c.anomalies, len(c.hops)-1)
	}
	return len(c.hops) - 1
}

// fail adds a difference at a hop. A mendable one is pending until nothing more can happen.
func (c *chain) fail(hop int, mendable bool, format string, args ...any) {
	pending := mendable && !c.quiet
	c.differences = append(c.differences, difference{hop: hop, text: c.redact(fmt.Sprintf(format, args...)), pending: pending})
	if pending {
		c.hops[hop].State = harness.HopPending
	} else {
		c.hops[hop].State = harness.HopBroken
	}
}

// exceed adds a difference at a hop that should not be there.
func (c *chain) exceed(hop int, format string, args ...any) {
	c.fail(hop, false, format, args...)
	c.differences[len(c.differences)-1].excess = true
}

// remediable says what may remove the last difference.
func (c *chain) remediable(r remedy) { c.differences[len(c.differences)-1].remedy = r }

// addDetail appends lines of evidence to a hop.
func (c *chain) addDetail(hop int, lines ...string) {
	for _, line := range lines {
		c.hops[hop].Detail = append(c.hops[hop].Detail, c.redact(line))
	}
}
