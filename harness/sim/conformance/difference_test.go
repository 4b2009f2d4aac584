package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

// difference lists the values that only one of two accounts has, those of the first after "-", of the second after "+".
func difference(onServer, onSim account) string {
	first, second := values(onServer), values(onSim)
	var b strings.Builder
	only := func(sign string, of, other []string) {
		for _, line := range of {
			if !slices.Contains(other, line) {
				fmt.Fprintln(&b, sign, line)
			}
		}
	}
	only("-", first, second)
	only("+", second, first)
	return b.String()
}

// values lists what an account holds, each value after the way to it, in the order of the ways.
func values(a account) []string {
	text, _ := json.Marshal(a) // accounts are made of JSON
	var v any
	_ = json.Unmarshal(text, &v)
	var out []string
	var walk func(way string, v any)
	walk = func(way string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(way+"."+k, x)
			}
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s[%d]", way, i), x)
			}
		default:
			text, _ := json.Marshal(v)
			out = append(out, strings.TrimPrefix(way, ".")+": "+string(text))
		}
	}
	walk("", v)
	slices.Sort(out)
	return out
}

// asJSON compares accounts by what JSON shows of them.
var asJSON = cmp.Options{cmpopts.IgnoreUnexported(stepAccount{}), cmpopts.EquateEmpty()}

// equals compares with the wanted account; where there is none, every account will do.
func equals(wanted *account) func(account) bool {
	return func(a account) bool { return wanted == nil || cmp.Equal(a, *wanted, asJSON) }
}

// onlyLacks reports whether an account of the real server differs from that of sim, and only by steps, attempts, events or
// spans that it lacks: the calls, their answers and the ends of the runs are equal.
func onlyLacks(onServer, onSim account) bool {
	if cmp.Equal(onServer, onSim, asJSON) || len(onServer.Runs) != len(onSim.Runs) {
		return false
	}
	among := func(lacking, whole []eventAccount) bool {
		return isSubsequence(lacking, whole, func(a, b eventAccount) bool { return cmp.Equal(a, b) })
	}
	if !among(onServer.Events, onSim.Events) {
		return false
	}
	onServer.Events, onServer.Runs = onSim.Events, slices.Clone(onServer.Runs)
	for i := range onServer.Runs {
		if !isSubsequence(onServer.Runs[i].Steps, onSim.Runs[i].Steps, lacksAttempts) {
			return false
		}
		onServer.Runs[i].Steps = onSim.Runs[i].Steps
		if onServer.Runs[i].Reads.lacksSpans(onSim.Runs[i].Reads) {
			onServer.Runs[i].Reads = onSim.Runs[i].Reads
		}
	}
	return cmp.Equal(onServer, onSim, asJSON)
}

// lacksAttempts reports whether a step is the other one, without some of its attempts or with all of them.
func lacksAttempts(lacking, whole stepAccount) bool {
	if !isSubsequence(lacking.Attempts, whole.Attempts, func(a, b string) bool { return a == b }) {
		return false
	}
	lacking.Attempts = whole.Attempts
	return cmp.Equal(lacking, whole, asJSON)
}

// lacksSpans reports whether a trace has fewer spans than that of the other one, or some of which the end or the output is not
// written down.
func (r *reads) lacksSpans(whole *reads) bool {
	if r == nil || whole == nil {
		return false
	}
	lacks := func(lacking, whole []string) bool {
		return len(lacking) < len(whole) || slices.ContainsFunc(lacking, func(span string) bool {
			return strings.Contains(span, " RUNNING ") || strings.HasSuffix(span, " → "+noOutput)
		})
	}
	return lacks(r.Legacy, whole.Legacy) || lacks(r.Preview, whole.Preview)
}

func isSubsequence[T any](some, all []T, same func(T, T) bool) bool {
	for _, one := range all {
		if len(some) > 0 && same(some[0], one) {
			some = some[1:]
		}
	}
	return len(some) == 0
}

func TestOnlyLacks(t *testing.T) {
	t.Parallel()
	step := func(id string, attempts ...string) stepAccount {
		return stepAccount{ID: id, Status: "COMPLETED", Attempts: attempts}
	}
	of := func(status string, events []string, steps ...stepAccount) account {
		a := account{Runs: []runAccount{{Function: "f", Status: status, Steps: steps, Calls: []callAccount{{Status: 206}}}}}
		for _, name := range events {
			a.Events = append(a.Events, eventAccount{Name: name})
		}
		return a
	}
	whole := of("COMPLETED", []string{"e", "f"}, step("a", "1", "2"), step("b", "1"))
	spans := func(status string, legacy ...string) account {
		a := of(status, nil)
		a.Runs[0].Reads = &reads{Legacy: legacy}
		return a
	}
	calledMore := of("COMPLETED", []string{"e", "f"}, step("a", "1", "2"))
	calledMore.Runs[0].Calls = append(calledMore.Runs[0].Calls, callAccount{Status: 200})
	for name, c := range map[string]struct {
		onServer account
		lacks    bool
	}{
		"nothing":               {whole, false},
		"a step":                {of("COMPLETED", []string{"e", "f"}, step("b", "1")), true},
		"an attempt":            {of("COMPLETED", []string{"e", "f"}, step("a", "2"), step("b", "1")), true},
		"an event":              {of("COMPLETED", []string{"f"}, step("a", "1", "2"), step("b", "1")), true},
		"a run":                 {account{Events: whole.Events}, false},
		"another status":        {of("FAILED", []string{"e", "f"}, step("a", "1", "2")), false},
		"an event of its own":   {of("COMPLETED", []string{"e", "g"}, step("a", "1", "2"), step("b", "1")), false},
		"a step of its own":     {of("COMPLETED", []string{"e", "f"}, step("c")), false},
		"steps in other orders": {of("COMPLETED", []string{"e", "f"}, step("b", "1"), step("a", "1", "2")), false},
		"another call":          {calledMore, false},
	} {
		require.Equal(t, c.lacks, onlyLacks(c.onServer, whole), name)
	}
	for name, c := range map[string]struct {
		onServer account
		lacks    bool
	}{
		"a span":         {spans("COMPLETED", "execute COMPLETED attempt 1"), true},
		"a span's end":   {spans("COMPLETED", "execute RUNNING attempt 0", "  a COMPLETED attempt 1"), true},
		"its output":     {spans("COMPLETED", "execute COMPLETED attempt 1", "  a COMPLETED attempt 1 → no output found"), true},
		"another output": {spans("COMPLETED", "execute COMPLETED attempt 1", "  a COMPLETED attempt 1 → 1"), false},
		"and its status": {spans("FAILED", "execute COMPLETED attempt 1"), false},
	} {
		require.Equal(t, c.lacks, onlyLacks(c.onServer, spans("COMPLETED", "execute COMPLETED attempt 1", "  a COMPLETED attempt 1")), name)
	}
	require.Len(t, whole.Runs[0].Steps, 2, "the accounts stay as they were")
}

func TestRecorded_PlaysAgainWhileTheRecordLacksSomething(t *testing.T) {
	t.Parallel()
	whole := account{Events: []eventAccount{{Name: "e"}}}
	for name, c := range map[string]struct {
		played []account
		last   account
	}{
		"whole":         {[]account{whole}, whole},
		"then whole":    {[]account{{}, whole}, whole},
		"never whole":   {[]account{{}, {}, {}}, account{}},
		"then it errs":  {[]account{{}, {Errors: []string{"x"}}}, account{Errors: []string{"x"}}},
		"it errs first": {[]account{{Errors: []string{"x"}}}, account{Errors: []string{"x"}}},
	} {
		plays := 0
		last := recorded(t, whole, func() account { plays++; return c.played[plays-1] })
		require.Equal(t, len(c.played), plays, name)
		require.Equal(t, c.last, last, name)
	}
}

func TestDifference(t *testing.T) {
	t.Parallel()
	one := account{Runs: []runAccount{{Function: "f", Status: "COMPLETED", Output: map[string]any{"a": []any{1, "x"}}}}}
	other := account{Runs: []runAccount{{Function: "f", Status: "FAILED", Output: map[string]any{"a": []any{2, "x"}}}}}
	require.Empty(t, difference(one, one))
	require.Equal(t, `- Runs[0].Output.a[0]: 1
- Runs[0].Status: "COMPLETED"
+ Runs[0].Output.a[0]: 2
+ Runs[0].Status: "FAILED"
`, difference(one, other))
}

func TestOrderTies(t *testing.T) {
	t.Parallel()
	of := func(steps ...stepAccount) account { return account{Runs: []runAccount{{Steps: steps}}} }
	at := func(id string, ms int) stepAccount { return stepAccount{ID: id, began: time.UnixMilli(int64(ms))} }
	onSim := of(at("a", 0), at("b", 0), at("c", 0))
	ids := func(a account) (ids []string) {
		for _, s := range a.Runs[0].Steps {
			ids = append(ids, s.ID)
		}
		return ids
	}
	tied := of(at("c", 1), at("b", 1), at("a", 1))
	orderTies(tied, onSim)
	require.Equal(t, []string{"a", "b", "c"}, ids(tied))
	wrong := of(at("b", 1), at("a", 2), at("c", 2))
	orderTies(wrong, onSim)
	require.Equal(t, []string{"b", "a", "c"}, ids(wrong), "what the clock tells apart stays as it was")
	later := of(at("b", 1), at("a", 1))
	later.Runs[0].Steps[1].ended = time.UnixMilli(2)
	orderTies(later, onSim)
	require.Equal(t, []string{"b", "a"}, ids(later), "and so does what its clock tells apart by the end")
	orderTies(account{}, onSim) // a server that has seen nothing
}
