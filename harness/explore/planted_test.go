package explore_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/explore/internal/planted"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// A sign is how a planted defect shows: a fault after which the app violates a rule, and a part of what is said then.
type sign struct {
	fault explore.Fault
	rule  explore.Rule
	says  string
}

// signs has one for each planted app. They are the same for apps in Go and in JavaScript.
var signs = map[string]sign{
	"effect-outside-step":    {atDATA("office", explore.Refuse), explore.RuleCopies, `the email "Order 7 is confirmed" to kim`},
	"new-message-id":         {replyLost, explore.RuleIdentity, "with 2 Message-IDs"},
	"event-without-id":       {late, explore.RuleCopies, `the email "Invoice of order 7" to kim`},
	"record-after-send":      {recordLost, explore.RuleCopies, `the email "Order 7 is not paid" to kim`},
	"swallowed-failure":      {atDATA("kim", explore.RefuseForGood), explore.RuleHidden, "there is no email to kim"},
	"two-emails-in-one-step": {atDATA("lee", explore.Refuse), explore.RuleCopies, `the email "Order 7 is on its way" to kim`},
	"random-outside-step":    {atDATA("kim", explore.Refuse), explore.RuleInvariant, "which is not valid"},
	"one-id-for-two-steps":   {atDATA("lee", explore.Refuse), explore.RuleExpectation, "there is no email to lee"},
	"early-event":            {early, explore.RuleExpectation, `got "Order 7 is cancelled"`},
	"check-then-act":         {meanwhile, explore.RuleInvariant, "seat 12 is taken by lee"},
	"failure-handler":        {atDATA("office", explore.Refuse), explore.RuleCopies, `the email "Your card was declined" to kim`},
	"half-cancelled":         {refused, explore.RuleInvariant, "stays reserved"},
}

var (
	replyLost  = explore.Fault{Hop: explore.Hop{At: tap.AtDot, When: explore.After, To: "kim@planted.test", N: 1}, Do: explore.LoseAnswer}
	late       = explore.Fault{Hop: explore.Hop{At: tap.AtCall, When: explore.Before, Function: "planted-bill-order", N: 1}, Do: explore.Late}
	recordLost = explore.Fault{Hop: explore.Hop{At: tap.AtEvent, When: explore.After, Event: "mail/sent", N: 1}, Do: explore.LoseAnswer}
	early      = explore.Fault{Hop: explore.Hop{At: "start"}, Do: explore.Send, Number: 2}
	meanwhile  = explore.Fault{
		Hop: explore.Hop{At: tap.AtStep, When: explore.Before, Function: "planted-book-seat", Step: "take", After: "look", N: 1},
		Do:  explore.Send, Number: 2,
	}
	// The second event comes while the run waits for its retry.
	refused = explore.Fault{Hop: explore.Hop{At: tap.AtCall, When: explore.Before, Function: "planted-sell", N: 2}, Do: explore.Refuse}
)

func atDATA(to string, do explore.Kind) explore.Fault {
	return explore.Fault{Hop: explore.Hop{At: tap.AtDATA, When: explore.Before, To: to + "@planted.test", N: 1}, Do: do}
}

// shownBy reports whether a violation is the sign.
func (s sign) shownBy(v explore.Violation) bool {
	return v.Rule == s.rule && strings.Contains(v.Says, s.says)
}

func plantedOptions(a planted.App) explore.Options {
	return explore.Options{Send: a.Send, Expect: a.Expect, Invariant: a.Invariant}
}

// requireFound explores an app with a defect, which must be found as what it is, by one fault.
func requireFound(t *testing.T, target explore.Target, name string, o explore.Options) {
	t.Helper()
	o.Depth = 1
	r, err := explore.Explore(t.Context(), target, o)
	require.NoError(t, err)
	t.Log(r.Summary())
	require.True(t, slices.ContainsFunc(r.Findings, func(f explore.Finding) bool { return f.Unsure == "" && signs[name].shownBy(f.Violation) }), "%s", r)
}

// requireRight explores an app without a defect, with so many schedules of two faults.
func requireRight(t *testing.T, target explore.Target, o explore.Options, pairs int) {
	t.Helper()
	o.Depth, o.Schedules = min(2, 1+pairs), pairs
	r, err := explore.Explore(t.Context(), target, o)
	require.NoError(t, err)
	t.Log(r.Summary())
	require.Empty(t, r.Findings, "%s", r)
	require.Positive(t, r.Single.Ran)
	require.Zero(t, r.Single.Unjudged, "%s", r)
}

// requireSign replays the fault that shows a defect: it must show it, and must not show anything in the twin.
func requireSign(t *testing.T, broken, right explore.Target, name string, o explore.Options) {
	t.Helper()
	c := explore.Case{Send: o.Send, Expect: o.Expect, InvariantCommand: o.InvariantCommand, Faults: []explore.Fault{signs[name].fault}}
	outcome, err := explore.Replay(t.Context(), broken, c, 1, o)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(outcome.Violations, signs[name].shownBy), "%v", outcome.Violations)
	outcome, err = explore.Replay(t.Context(), right, c, 1, o)
	require.NoError(t, err)
	require.Empty(t, outcome.Violations)
}

func TestPlanted_InProcess(t *testing.T) {
	for _, a := range planted.Apps() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel() // a finding is explored again with 10 s between attempts
			requireFound(t, explore.InProcess(a.Broken, simstack.WorkbenchOptions{}), a.Name, plantedOptions(a))
			requireRight(t, explore.InProcess(a.Right, simstack.WorkbenchOptions{}), plantedOptions(a), 0)
		})
	}
}

func TestPlanted_AsPrograms(t *testing.T) {
	broken, right := programs(t)
	for _, a := range planted.Apps() {
		t.Run(a.Name, func(t *testing.T) { requireSign(t, broken(a.Name), right(a.Name), a.Name, plantedOptions(a)) })
	}
}

// programs returns targets that run the apps as programs.
func programs(t *testing.T) (broken, right func(name string) explore.Target) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "planted")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./internal/planted/cmd/planted").CombinedOutput()
	require.NoError(t, err, "%s", out)
	run := func(args ...string) explore.Target {
		return explore.Program(onSim(), stack.Options{}, stack.Command{Args: append([]string{path}, args...)})
	}
	return func(name string) explore.Target { return run(name) }, func(name string) explore.Target { return run("-right", name) }
}

func onSim() harness.Backend { return simstack.New(local.New(local.Options{}), simstack.Options{}) }
