package explore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// hopOf is a hop at which a rule's fault can happen.
func hopOf(r rule) Hop {
	h := Hop{At: r.at, When: r.when, N: 1}
	switch r.at {
	case tap.AtCall:
		h.Function = "shop-notify"
	case tap.AtStep:
		h.Function, h.Step = "shop-notify", "send"
		if r.when == Before {
			h.After = "load"
		}
	case tap.AtCheckpoint:
		h.Function, h.Step = "shop-notify", "send"
	case tap.AtEvent:
		h.Event = "order/paid"
	case tap.AtRCPT, tap.AtDATA, tap.AtBody, tap.AtDot:
		h.To = "kim@plant.test"
	}
	return h
}

func TestRules_AreValidForTheTaps(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		f := Fault{Hop: hopOf(r), Do: r.do, Number: 2}
		found, ok := ruleOf(f)
		require.True(t, ok)
		require.Equal(t, r, found, "there is one rule for %s %s %s", r.do, r.when, r.at)
		if r.at == atStart {
			continue
		}
		injected := f.onWire(r, 1)
		require.NoError(t, injected.Validate(), "%s %s %s", r.do, r.when, r.at)
		require.Equal(t, r.when == After, injected.Do == tap.HoldAnswer || injected.Do == tap.DropAnswer, "%s acts %s the far side does", f, r.when)
		require.Equal(t, 1, injected.Skip)
	}
}

func TestRules_SayWhatHappens(t *testing.T) {
	t.Parallel()
	said := map[string]rule{}
	for _, r := range rules {
		f := Fault{Hop: hopOf(r), Do: r.do, Number: 2}
		says := f.String()
		require.NotContains(t, says, "%!")
		require.Contains(t, says, map[bool]string{true: "event 2", false: f.Hop.String()}[r.at == atStart])
		require.NotContains(t, said, says, "two faults have one sentence: a report cannot tell them apart")
		said[says] = r
	}
	require.Equal(t, "the app was killed at the end of the message to kim@plant.test, time 2, after the mail server accepted",
		Fault{Hop: Hop{At: tap.AtDot, When: After, To: "kim@plant.test", N: 2}, Do: Kill}.String())
	require.Equal(t, "late at MAIL", Fault{Hop: Hop{At: tap.AtMAIL, When: Before, N: 1}, Do: Late}.String(), "nothing of this kind can happen there")
}

func TestKinds_EachCanHappenSomewhere(t *testing.T) {
	t.Parallel()
	used := map[Kind]bool{}
	for _, r := range rules {
		used[r.do] = true
	}
	for _, k := range kinds {
		require.True(t, used[k.Kind], "%s has no rule", k.Kind)
		require.NotEmpty(t, k.says)
		delete(used, k.Kind)
	}
	require.Empty(t, used, "kinds has them all, once")
}

func TestFaultsAt_WhatTheTargetCanDo(t *testing.T) {
	t.Parallel()
	hop := Hop{At: tap.AtDot, When: After, To: "kim@plant.test", N: 1}
	does := func(can abilities, events int) (does []Kind) {
		for _, f := range faultsAt(hop, can, events) {
			require.Equal(t, hop, f.Hop)
			does = append(does, f.Do)
		}
		return does
	}
	require.Equal(t, []Kind{LoseAnswer}, does(abilities{}, 1))
	require.Equal(t, []Kind{LoseAnswer, Freeze}, does(abilities{late: true}, 1))
	require.Equal(t, []Kind{LoseAnswer, Kill}, does(abilities{kill: true}, 1))
	require.Equal(t, []Kind{LoseAnswer, RestartDatabase}, does(abilities{services: []harness.Service{harness.ServiceMongo}}, 1))

	hop = Hop{At: tap.AtCall, When: Before, Function: "shop-notify", N: 1}
	faults := faultsAt(hop, abilities{}, 3)
	require.Equal(t, []Fault{{Hop: hop, Do: Send, Number: 2}, {Hop: hop, Do: Send, Number: 3}}, faults[len(faults)-2:], "each of the later events")
	require.NotContains(t, does(abilities{}, 1), Send, "there is no other event")
	require.NotContains(t, does(abilities{kill: true}, 1), Late)
}
