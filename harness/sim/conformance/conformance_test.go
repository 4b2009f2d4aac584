package conformance

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
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
	// takes is how long each call takes: of the server's time, from when all events are there, and of sim's virtual time. How
	// many calls there were at once is then compared too.
	takes time.Duration
	// order says that the sequence of all calls is compared.
	order bool
	// waves says that the waves of calls are compared: to which a call belongs is how many others ended, one after the other,
	// before it began.
	waves bool
	// period has the time of each call compared: as how many of these it came after the first, rounded.
	period time.Duration
	// raw is an app without the SDK; build is not used then.
	raw func(p *play) *rawApp
	// waits says that it waits for most of a minute of the real server's clock: it begins at once, beside whatever is played.
	waits bool
	// differs names the entry in docs/sim.md by which the two are known to differ: as testdata has it, and in nothing else.
	differs string
}

func TestConformance(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(scenarios), 40)
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			if !sc.waits {
				takeSlot(t)
			}
			onSim := perform(t, sc, newSimWorld, 0).account(sc)
			onServer := recorded(t, onSim, func() account { return settled(perform(t, sc, newRealWorld, onSim.calls()), sc, onSim) })
			if found := difference(onServer, onSim); *update && sc.differs != "" && found != "" {
				require.NoError(t, os.WriteFile(differenceFile(sc), []byte(found), 0o644))
			}
			require.Empty(t, verdict(t, sc, onServer, onSim))
			require.Len(t, onServer.Runs, sc.runs, "runs on the real server")
		})
	}
}

// settled reads the account of the real server until it is as it should be and stays so, or for some time.
func settled(p *play, sc scenario, onSim account) account {
	read := func() account {
		a := p.account(sc)
		orderTies(a, onSim)
		return a
	}
	return readUntil(read, func(a account) bool { return verdict(p.t, sc, a, onSim) == "" })
}

// readUntil reads an account until it is right twice in a row, or for some time: the real server writes down later than it
// acts. Between two readings it has looked at its events, of which one may be too many.
func readUntil(read func() account, right func(account) bool) account {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for began, times := time.Now(), 0; ; <-tick.C {
		a := read()
		if right(a) {
			times++
		} else {
			times = 0
		}
		if times == 2 || time.Since(began) > patience {
			return a
		}
	}
}

// recorded plays a scenario on the real server, and plays it again while its record lacks something: a busy server drops
// some of the spans and events that it should write down. All that it did must be right each time.
func recorded(t testing.TB, onSim account, play func() account) account {
	a := play()
	for again := 0; again < 2 && onlyLacks(a, onSim); again++ {
		fmt.Fprintf(os.Stderr, "conformance: %s is played again, since the real server's record lacks something:\n%s", t.Name(), difference(a, onSim))
		a = play()
	}
	return a
}

// verdict says how two accounts differ otherwise than they are known to.
func verdict(t testing.TB, sc scenario, onServer, onSim account) string {
	if sc.differs == "" {
		if diff := cmp.Diff(onServer, onSim, cmpopts.IgnoreUnexported(stepAccount{})); diff != "" {
			return "the real server (-) and sim (+) differ:\n" + diff
		}
		return ""
	}
	found := difference(onServer, onSim)
	if found == "" {
		return "docs/sim.md says that they differ (" + sc.differs + "), and they no longer do: take it out there"
	}
	expected, err := os.ReadFile(differenceFile(sc))
	if !*update { // which may be there to write it
		require.NoError(t, err)
	}
	if diff := cmp.Diff(string(expected), found); diff != "" {
		return "they differ, and otherwise than they did (" + sc.differs + "):\n" + diff
	}
	return ""
}

var update = flag.Bool("update", false, "write down how the servers differ where they are known to")

func differenceFile(sc scenario) string { return filepath.Join("testdata", sc.name+".txt") }

// perform plays a scenario to its end; calls is how many the app should get.
func perform(t *testing.T, sc scenario, open func(testing.TB) world, calls int) *play {
	p := &play{t: t, app: sc.name, began: time.Now()}
	w := open(t)
	p.w = w
	p.connect(sc.checkpoint)
	if sc.raw != nil {
		raw := sc.raw(p)
		raw.p = p
		p.rec = newRecorder(raw, w, sc.takes)
	} else {
		sc.build(p)
		p.rec = newRecorder(p.client.Serve(), w, sc.takes)
	}
	if err := w.register(p.rec); err != nil {
		t.Logf("registration refused: %v", err)
		p.errs = []string{"registration refused"}
		return p
	}
	if sc.act != nil {
		sc.act(p)
	} else {
		p.send("go", data{"n": 1})
	}
	p.rec.sent()
	if sc.stuck {
		w.finish(p.rec, 0, calls)
	} else {
		w.finish(p.rec, sc.runs, calls)
	}
	return p
}

// account is what happened, as the app saw it and as the server tells it now.
func (p *play) account(sc scenario) account {
	read := func(id string) runAccount {
		run := readRun(p.t, p.w.client(), id)
		if slices.Contains(readThrough, sc.name) {
			run.Reads = readAll(p.t, p.w.url(), id)
		}
		return run
	}
	a := p.rec.account(read, sc.loose)
	listed, err := p.w.client().Events(p.t.Context(), inngestapi.EventFilter{Since: p.began, Internal: true})
	require.NoError(p.t, err)
	a.Events = p.rec.events(p.app, listed)
	a.Errors = p.errs
	p.rec.timeline(sc, &a)
	return a
}

// calls is how often the app was called.
func (a account) calls() (n int) {
	for _, run := range a.Runs {
		n += len(run.Calls)
	}
	return n
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
