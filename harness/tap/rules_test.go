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

// The table stands in the document for its readers. What it says is what Rules says.
func TestRules_AreInDocument(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/faults.md")
	require.NoError(t, err)
	code := func(words string) string {
		if words == "" {
			return ""
		}
		return "`" + strings.ReplaceAll(words, ", ", "` `") + "`"
	}
	for _, r := range Rules() {
		actions := code(list(r.Actions, func(a Action) string { return string(a) }))
		row := "| " + code(string(r.At)) + " | " + actions + " | " + code(strings.Join(r.Match, ", ")) + " |"
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
