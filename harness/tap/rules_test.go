package tap

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRules_CoverEveryFieldAndAction(t *testing.T) {
	t.Parallel()
	checked := map[string]bool{"name": true, "at": true, "do": true, "times": true, "skip": true, "chance": true}
	for _, f := range append(Fault{}.matchers(), Fault{}.parameters()...) {
		require.False(t, checked[f.name], "%s is checked twice", f.name)
		checked[f.name] = true
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[faultJSON]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		require.True(t, f.Anonymous || name == "-" || checked[name], "Validate does not check %q", name)
	}

	used := map[Action]bool{}
	for _, r := range Rules() {
		for _, a := range r.Actions {
			used[a] = true
			require.Contains(t, actionRules, a)
		}
	}
	require.Len(t, used, len(actionRules), "every action makes sense somewhere")
}

// docs/faults.md lists the rules for its readers: points with the same rule share a row.
func TestRules_AreInDocument(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/faults.md")
	require.NoError(t, err)
	points := map[string]string{} // by the rest of their row
	for _, r := range Rules() {
		rest := " | "
		for _, a := range r.Actions {
			rest += "`" + string(a) + "` "
		}
		rest += "|"
		for _, m := range r.Match {
			rest += " `" + m + "`"
		}
		points[rest] += " `" + string(r.At) + "`"
	}
	for rest, at := range points {
		row := "|" + at + rest + " |\n"
		require.True(t, strings.Contains(string(page), row), "docs/faults.md lacks the row\n%s", row)
	}
}

func FuzzFault(f *testing.F) {
	for _, s := range []string{
		`{}`, `null`, `{"at":"rcpt","to":"kim@plant.test","do":"reply","code":451,"times":2}`,
		`{"at":"step","step":"send","after":"look-up","do":"hold"}`, `{"at":"dot","do":"delay-answer","for":"1.5s","chance":0.5}`,
		`{"at":"body","do":"throttle","rate":1}`, `{"at":"call","do":"twice","concurrent":true,"second":true}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var fault Fault
		if json.Unmarshal(text, &fault) != nil {
			return
		}
		written, err := json.Marshal(fault)
		require.NoError(t, err)
		var again Fault
		require.NoError(t, json.Unmarshal(written, &again))
		require.Equal(t, fault, again)
		s := New(Options{})
		i, err := s.Inject(fault)
		if err != nil {
			return
		}
		require.NotEmpty(t, fault.String())
		s.faults.take(moment{at: fault.At}, moment{at: fault.At, answer: true})
		i.Release()
	})
}
