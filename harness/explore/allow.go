package explore

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// Copies says when an email may arrive more often than without faults. Either way all copies carry one Message-ID.
type Copies string

// The choices of [Options].AllowCopies.
const (
	CopiesUnrecorded Copies = "unrecorded" // where the acceptance of each but one could not be recorded; the default
	CopiesNone       Copies = "none"
	CopiesAny        Copies = "any" // also with other Message-IDs
)

// Failed says when a run may fail.
type Failed string

// The choices of [Options].AllowFailed.
const (
	FailedPermanent Failed = "permanent" // where a fault is permanent, or as many faults as it has attempts hit it; the default
	FailedNever     Failed = "never"
	FailedAny       Failed = "any"
)

// A Rule is what a violation violates.
type Rule string

// The rules.
const (
	RuleExpectation Rule = "expectation" // the expectation does not hold
	RuleHidden      Rule = "hidden"      // it does not hold, and no run says that it failed
	RuleIdentity    Rule = "identity"    // copies of an email have different Message-IDs
	RuleCopies      Rule = "copies"      // an email arrived again although its acceptance was recorded
	RuleInvariant   Rule = "invariant"   // the app's own invariant is violated
)

// A Violation is one way in which an execution is not as it should be.
type Violation struct {
	Rule Rule `json:"rule"`
	// Says is one sentence.
	Says string `json:"says"`
	// about is the part of Says that is the same for violations that are one finding, apart from what varies.
	about string
}

// kind is the same for violations that are one finding.
func (v Violation) kind() string {
	return string(v.Rule) + " " + varying.ReplaceAllString(v.about, "#")
}

// varying matches what differs between executions of one schedule: ids, numbers, times.
var varying = regexp.MustCompile(`\b([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-Z]{10,}|[0-9a-f]{8,}|[0-9]+(\.[0-9]+)?(ns|µs|ms|s|m|h)?)\b`)

// judgement is what an execution amounts to.
type judgement struct {
	verdict    *harness.Verdict
	violations []Violation
	// unjudged says why it could not be judged; empty where it could.
	unjudged string
}

// judged judges an execution. base is the one without faults, nil for that itself.
func judged(x, base *execution, o *Options) (*judgement, error) {
	j := &judgement{}
	if x.violated != nil {
		says := text.OneLine(x.violated.Error())
		j.violations = append(j.violations, Violation{RuleInvariant, says, says})
	}
	spare := map[string]bool{} // ids of emails that are allowed copies
	if base != nil {
		for _, group := range x.copies(base) {
			violation, copies := x.judgeCopies(group, base, o.AllowCopies)
			j.violations = append(j.violations, violation...)
			for _, m := range copies {
				spare[m.ID] = true
			}
		}
	}
	trace := *x.trace
	trace.Mail = slices.DeleteFunc(slices.Clone(trace.Mail), func(m harness.TraceMail) bool { return spare[m.ID] })
	expect := loosened(o.Expect)
	if err := expect.Validate(); err != nil {
		return nil, err
	}
	compared := judge.Compare(expect, &trace, o.Judge)
	verdict := compared.Final(0, 0)
	verdict.Trace = x.trace
	j.verdict = verdict
	if x.schedule.losesState() {
		return j, nil // the server does not know what it began
	}
	switch verdict.Outcome {
	case harness.CannotBeJudged:
		j.unjudged = verdict.Why
	case harness.Broken:
		if !trace.Quiet && !compared.Broken() {
			j.unjudged = fmt.Sprintf("%s, and more may happen: %s", verdict.Why, trace.Unquiet)
			return j, nil
		}
		failed := slices.ContainsFunc(x.trace.Runs, func(r harness.TraceRun) bool { return r.Status == harness.StatusFailed })
		v := Violation{RuleExpectation, verdict.Why, verdict.Differences[0]}
		switch {
		case failed && x.mayFail(o.AllowFailed):
			return j, nil
		case x.mayFail(o.AllowFailed):
			v.Rule, v.Says = RuleHidden, v.Says+", and no run has failed"
		}
		j.violations = append(j.violations, v)
	}
	return j, nil
}

// loosened is an expectation without what every fault changes: how often a step was tried. Copies of emails, and their
// Message-IDs, are judged apart.
func loosened(e harness.Expectation) harness.Expectation {
	e.Runs, e.Mail = slices.Clone(e.Runs), slices.Clone(e.Mail)
	for i := range e.Runs {
		e.Runs[i].Steps = slices.Clone(e.Runs[i].Steps)
		for j := range e.Runs[i].Steps {
			e.Runs[i].Steps[j].Attempts = 0
		}
	}
	for i := range e.Mail {
		e.Mail[i].SameMessageID = false
	}
	return e
}

// mayFail reports whether a run may fail after the faults of the execution.
func (x *execution) mayFail(f Failed) bool {
	switch f {
	case FailedAny:
		return true
	case FailedNever:
		return false
	}
	if slices.ContainsFunc(x.schedule.Faults, Fault.permanent) {
		return true
	}
	for _, c := range x.exchanges {
		if c.Call != nil && c.Call.MaxAttempts > 0 && len(x.schedule.Faults) >= c.Call.MaxAttempts {
			return true
		}
	}
	return false
}

// same reports whether two emails are the same to a person: same recipients, same subject but for what varies.
func same(a, b *harness.Message) bool {
	covers := func(a, b *harness.Message) bool {
		return !slices.ContainsFunc(a.Envelope.To, func(to string) bool { return !address.In(to, b.Envelope.To) })
	}
	mask := func(m *harness.Message) string { return varying.ReplaceAllString(m.Subject, "#") }
	return mask(a) == mask(b) && covers(a, b) && covers(b, a)
}

// like returns the emails that are the same as one.
func (x *execution) like(of *harness.Message) (found []*harness.Message) {
	for _, m := range x.mail {
		if same(m, of) {
			found = append(found, m)
		}
	}
	return found
}

// copies groups emails that may be copies of one, in the sequence of their arrival. Those that the run without faults does not
// send, such as notices of failures, are not if different runs sent them.
func (x *execution) copies(base *execution) (groups [][]*harness.Message) {
	for _, m := range x.mail {
		known := len(base.like(m)) > 0
		i := slices.IndexFunc(groups, func(g []*harness.Message) bool {
			return same(g[0], m) && (known || g[0].Header(x.runHeader) == m.Header(x.runHeader))
		})
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], m)
	}
	return groups
}

// byMessageID divides emails by their Message-ID, in the sequence of arrival.
func byMessageID(mail []*harness.Message) (groups [][]*harness.Message) {
	for _, m := range mail {
		i := slices.IndexFunc(groups, func(g []*harness.Message) bool { return g[0].MessageID == m.MessageID })
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], m)
	}
	return groups
}

// judgeCopies judges emails that may be copies of one, beside those that the run without faults sends. It also returns those
// that are more than that one sends.
func (x *execution) judgeCopies(group []*harness.Message, base *execution, allow Copies) (violations []Violation, spare []*harness.Message) {
	normal := byMessageID(base.like(group[0]))
	each := 1 // emails of one Message-ID
	for _, n := range normal {
		each = max(each, len(n))
	}
	ids := byMessageID(group)
	for i, of := range ids {
		if i < max(1, len(normal)) {
			of = of[min(each, len(of)):]
		}
		spare = append(spare, of...)
	}
	if allow == CopiesAny {
		return nil, spare
	}
	what := fmt.Sprintf("the email %q to %s", group[0].Subject, strings.Join(group[0].Envelope.To, ", "))
	if len(ids) > max(1, len(normal)) {
		var named []string
		for _, of := range ids {
			named = append(named, of[0].MessageID)
		}
		return []Violation{{RuleIdentity, fmt.Sprintf("%s arrived %d times, with %d Message-IDs: %s", what, len(group), len(ids), text.List(named, 3)), what}}, spare
	}
	for _, of := range ids {
		if len(of) <= each {
			continue
		}
		if allow == CopiesNone {
			return []Violation{{RuleCopies, fmt.Sprintf("%s arrived %d times", what, len(of)), what}}, spare
		}
		if recorded := x.recorded(of); recorded > each {
			says := fmt.Sprintf("%s arrived %d times, although the acceptance of %d of them could be recorded", what, len(of), recorded)
			return []Violation{{RuleCopies, says, what}}, spare
		}
	}
	return nil, spare
}

// recorded counts the deliveries of these copies whose acceptance could be recorded: the app was told of it, and afterwards
// saved a step, or answered its call.
func (x *execution) recorded(group []*harness.Message) int {
	if x.schedule.losesState() {
		return 1 // what was recorded is lost
	}
	n := 0
	for _, d := range x.exchanges {
		sent := func(m *harness.Message) bool {
			return m.MessageID == d.Mail.MessageID && slices.ContainsFunc(d.Mail.To, func(to string) bool { return address.In(to, m.Envelope.To) })
		}
		if d.Mail != nil && d.Mail.Accepted && d.Mail.Reported && slices.ContainsFunc(group, sent) && x.savedAfter(d) {
			n++
		}
	}
	return n
}

// savedAfter reports whether the server got a step's result or an answer from the call that sent an email, after that was
// accepted. A call that was delivered twice, or whose email names no run while several are called, may have got it before.
func (x *execution) savedAfter(d tap.Exchange) bool {
	accepted := d.Mail.AcceptedAt
	during := func(c tap.Exchange) bool {
		return c.Call != nil && (d.Mail.RunID == "" || c.Call.RunID == d.Mail.RunID) && !c.Began.After(accepted) && (!c.Over() || !c.Ended.Before(accepted))
	}
	var calls []tap.Exchange
	for _, c := range x.exchanges {
		if during(c) {
			calls = append(calls, c)
		}
	}
	if len(calls) != 1 || calls[0].Call.Repeated {
		return false
	}
	call := calls[0]
	if call.HTTP != nil && call.HTTP.Status != 0 && call.Call.GivenUp.IsZero() {
		return true
	}
	givenUp := func(at time.Time) bool { return !call.Call.GivenUp.IsZero() && !at.Before(call.Call.GivenUp) }
	return slices.ContainsFunc(x.exchanges, func(c tap.Exchange) bool {
		saves := c.Checkpoint != nil && c.Checkpoint.Call == call.ID && c.Over() && c.HTTP != nil && c.HTTP.Status/100 == 2 && c.Began.After(accepted) && !givenUp(c.Began)
		return saves && slices.ContainsFunc(c.Checkpoint.Steps, func(op tap.Op) bool { return op.Ended.IsZero() || !op.Ended.Before(accepted) })
	})
}
