package tap

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
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

// A fault that asks for a value which an exchange does not have lets it pass.
func TestInjection_ComparesEveryMatcher(t *testing.T) {
	t.Parallel()
	own := map[string]any{"function": "f", "run": "01RUN", "attempt": 2, "step": "send", "after": "look-up", "event": "e", "to": "kim@plant.test"}
	foreign := map[string]any{"function": "g", "run": "02RUN", "attempt": 3, "step": "other", "after": "other", "event": "other", "to": "lee@plant.test"}
	parameters := map[string]any{"for": "1ms", "code": 451, "rate": 1}
	compared := map[string]bool{"bytes": true} // TestFaults_AtBody
	for _, r := range Rules() {
		for _, do := range r.Actions {
			for _, matcher := range r.Match {
				action := actionRules[do]
				if matcher == "bytes" || slices.Contains(action.ignores, matcher) {
					continue
				}
				compared[matcher] = true
				m := moment{
					at: r.At, answer: action.onAnswer, functionID: "app-f", runID: "01RUN", attempt: 2,
					steps: []string{sdk.StepHash("send")}, after: sdk.StepHash("look-up"), events: []string{"d", "e"}, to: []string{"kim@plant.test"},
				}
				if matcher == "after" {
					m.steps = nil // the call names no step, and goes on after the last one
				}
				acts := func(value any) bool {
					fault := map[string]any{"at": r.At, "do": do}
					if action.needs != "" {
						fault[action.needs] = parameters[action.needs]
					}
					if r.At == AtStep {
						fault["step"] = own["step"]
					}
					fault[matcher] = value
					text, err := json.Marshal(fault)
					require.NoError(t, err)
					var f Fault
					require.NoError(t, json.Unmarshal(text, &f))
					s := New(Options{})
					_, err = s.Inject(f)
					require.NoError(t, err)
					return len(s.faults.take(m)) == 1
				}
				require.True(t, acts(own[matcher]), "%s at %s with the exchange's own %q", do, r.At, matcher)
				require.False(t, acts(foreign[matcher]), "%s at %s with a foreign %q", do, r.At, matcher)
			}
		}
	}
	for _, f := range (Fault{}).matchers() {
		require.True(t, compared[f.name], "%q is never compared", f.name)
	}
}
