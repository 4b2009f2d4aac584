package conformance

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/stretchr/testify/require"
)

// scenario is played on both servers.
type scenario struct {
	name  string
	build func(p *play)
	// act sends events; nil sends "go" with {"n": 1}.
	act func(p *play)
	// runs is how many runs there will be, all of which end.
	runs int
	// stuck says that they never end.
	stuck bool
	// loose says that steps run side by side: the order of calls is not compared.
	loose      bool
	checkpoint *checkpoint.Config
	// raw is an app without the SDK; build is not used then.
	raw func(p *play) *rawApp
	// differs names the entry in docs/sim.md by which the two are known to differ: as testdata has it, and in nothing else.
	differs string
}

func TestConformance(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(scenarios), 40)
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			onServer := perform(t, sc, newRealWorld(t))
			onSim := perform(t, sc, newSimWorld(t))
			if sc.differs == "" {
				require.Empty(t, cmp.Diff(onServer, onSim), "the real server (-) and sim (+) differ")
				require.Len(t, onServer.Runs, sc.runs, "runs on the real server")
				return
			}
			found := difference(onServer, onSim)
			require.NotEmpty(t, found, "docs/sim.md says that they differ (%s), and they no longer do: take it out there", sc.differs)
			if *update {
				require.NoError(t, os.WriteFile(differenceFile(sc), []byte(found), 0o644))
			}
			expected, err := os.ReadFile(differenceFile(sc))
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(string(expected), found), "they differ, and otherwise than they did (%s)", sc.differs)
		})
	}
}

var update = flag.Bool("update", false, "write down how the servers differ where they are known to")

func differenceFile(sc scenario) string { return filepath.Join("testdata", sc.name+".txt") }

func perform(t *testing.T, sc scenario, w world) account {
	p := &play{t: t, w: w, app: sc.name}
	p.connect(sc.checkpoint)
	if sc.raw != nil {
		raw := sc.raw(p)
		raw.p = p
		p.rec = newRecorder(raw)
	} else {
		sc.build(p)
		p.rec = newRecorder(p.client.Serve())
	}
	if err := w.register(p.rec); err != nil {
		return account{Errors: []string{"registration refused"}}
	}
	if sc.act != nil {
		sc.act(p)
	} else {
		p.send("go", data{"n": 1})
	}
	if sc.stuck {
		w.finish(p.rec, 0)
	} else {
		w.finish(p.rec, sc.runs)
	}
	a := p.rec.account(w.read, sc.loose)
	a.Events = p.rec.events(p.app, w.events(p.rec))
	a.Errors = p.errs
	return a
}

// TestKnownDifferences holds the list in the documentation and the table to each other.
func TestKnownDifferences(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/sim.md")
	require.NoError(t, err)
	var listed, played []string
	for _, m := range regexp.MustCompile("(?m)^- \\*\\*`([a-z-]+)`\\*\\*").FindAllSubmatch(text, -1) {
		listed = append(listed, string(m[1]))
	}
	for _, sc := range scenarios {
		if sc.differs != "" && !slices.Contains(played, sc.differs) {
			played = append(played, sc.differs)
		}
	}
	files, err := filepath.Glob(differenceFile(scenario{name: "*"}))
	require.NoError(t, err)
	var expected []string
	for _, sc := range scenarios {
		if sc.differs != "" {
			expected = append(expected, differenceFile(sc))
		}
	}
	require.ElementsMatch(t, expected, files, "testdata has the expected differences, and no others")
	require.ElementsMatch(t, listed, played, "docs/sim.md lists the differences that scenarios show, and no others")
}

// decode reads JSON, and takes for text what is none.
func decode(raw json.RawMessage) any {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	return v
}

func (p *play) trigger(t inngestgo.MultipleTriggers, o opts, f body) {
	_, err := inngestgo.CreateFunction(p.client, o, t, f)
	require.NoError(p.t, err)
}
