package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
