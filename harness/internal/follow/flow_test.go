package follow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestFlow_FindsWhatBeganDuringCallsOfARun(t *testing.T) {
	t.Parallel()
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	call := func(id uint64, run string, began, ended int) tap.Exchange {
		c := tap.Exchange{ID: id, Began: at(began), Call: &tap.Call{RunID: run}}
		if ended != 0 {
			c.Ended = at(ended)
		}
		return c
	}
	send := func(id uint64, began, ended int, name string) tap.Exchange {
		c := tap.Exchange{ID: id, Began: at(began), Dispatch: &tap.Dispatch{Events: []tap.Event{{Name: name}}}}
		if ended != 0 {
			c.Ended = at(ended)
			c.Dispatch.Events[0].EventID = "id of " + name
		}
		return c
	}
	f := newFlow()
	for _, c := range []tap.Exchange{
		call(1, "mine", 10, 0), send(2, 5, 12, "before"), send(3, 15, 0, "during"), send(3, 15, 16, "during"),
		call(1, "mine", 10, 20),
		send(4, 25, 26, "between"), call(5, "other", 30, 50), call(6, "mine", 40, 60), send(7, 45, 46, "with another"),
		send(8, 55, 0, "under way"), call(9, "mine", 70, 0), send(10, 75, 76, "in a call under way"),
	} {
		f.add(c)
	}
	found, alone := f.during(map[string]bool{"mine": true})
	var names []string
	for _, s := range found {
		names = append(names, s.Name)
	}
	require.Equal(t, []string{"during", "with another", "under way", "in a call under way"}, names)
	require.Equal(t, []bool{true, false, true, true}, alone)
	require.True(t, found[0].over)
	require.Equal(t, "id of during", found[0].EventID)
	require.False(t, found[2].over)

	for id, want := range map[string][2]bool{
		"id of during": {true, true}, "id of with another": {true, true}, "id of before": {true, false},
		"id of between": {true, false}, "id of something else": {false, false},
	} {
		seen, within := f.sentDuring(map[string]bool{"mine": true}, id)
		require.Equal(t, want, [2]bool{seen, within}, id)
	}
	_, within := f.sentDuring(map[string]bool{"uncalled": true}, "id of during")
	require.True(t, within, "its calls may not pass the taps")
	abandoned := call(9, "mine", 70, 74)
	abandoned.Call.Abandoned = true
	g := newFlow()
	g.add(abandoned)
	g.add(send(10, 75, 76, "after"))
	_, within = g.sentDuring(map[string]bool{"mine": true}, "id of after")
	require.True(t, within, "the app may be at work on a call that the server abandoned")

	mail := func(began int, run string, to ...string) tap.Exchange {
		return tap.Exchange{Began: at(began), Ended: at(began + 1),
			Mail: &harness.MailTransaction{To: to, RunID: run, Accepted: true}}
	}
	for _, c := range []tap.Exchange{
		mail(5, "", "before@shop.test"), mail(15, "", "during@shop.test"), mail(15, "other", "signed@shop.test"),
		mail(15, "mine", "mine@shop.test"), mail(16, "", "Known@shop.test"),
		mail(35, "", "other@shop.test"), mail(80, "", "under-way@shop.test"),
	} {
		f.add(c)
	}
	var to []string
	for _, m := range f.mailDuring(map[string]bool{"mine": true}, []string{"known@shop.test"}) {
		to = append(to, m.run+" "+m.to[0])
	}
	require.Equal(t, []string{" during@shop.test", "other signed@shop.test", " under-way@shop.test"}, to)
	require.Empty(t, f.mailDuring(nil, nil))

	require.Zero(t, f.missed)
	for i := range maxFlow {
		f.add(send(uint64(100+i), 100+i, 101+i, "more"))
	}
	require.Less(t, len(f.dispatches), maxFlow)
	require.Equal(t, f.dispatches[0].began.Add(-time.Millisecond), f.missed)
}

func TestFlow_MissEndsWhatLogDoesNotShowAsOpen(t *testing.T) {
	t.Parallel()
	f := newFlow()
	for id, run := range map[uint64]string{1: "ended unseen", 2: "open"} {
		f.add(tap.Exchange{ID: id, Began: noon, Call: &tap.Call{RunID: run}})
	}
	f.miss([]tap.Exchange{{ID: 2, Began: noon}})
	require.Zero(t, f.summary([]string{"ended unseen"}).open)
	require.Equal(t, 1, f.summary([]string{"open"}).open)
	require.False(t, f.missed.IsZero())
}
