package property

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
)

var (
	appsOnBench  = flag.Int("apps.workbench", 100, "how many random apps run on the Workbench")
	appsOnSim    = flag.Int("apps.sim", 12, "how many run on a stack with sim")
	appsOnServer = flag.Int("apps.server", 4, "how many run on a stack with the real server")
	shards       = flag.Int("shards", 4, "how many apps run at the same time in one kind of place")
	only         = flag.String("app", "", "run only this app, given as JSON, in every place")
)

// tally counts what was asked.
var tally struct{ apps, ambiguous, questions, doubts atomic.Int64 }

func TestMain(m *testing.M) {
	flag.Parse()
	// A failing app is printed, and rapid's own number of checks must not be the smaller one.
	most := (max(*appsOnBench, *appsOnSim, *appsOnServer)+*shards-1) / *shards + 1
	if err := errors.Join(flag.Set("rapid.nofailfile", "true"), flag.Set("rapid.checks", strconv.Itoa(most))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if tally.apps.Load() == 0 {
		os.Exit(code)
	}
	fmt.Printf("%d apps, %d of them with an end that the app cannot know; %d verdicts, %d of them \"cannot be judged\"\n",
		tally.apps.Load(), tally.ambiguous.Load(), tally.questions.Load(), tally.doubts.Load())
	os.Exit(code)
}

// kinds are the places, and how many random apps run in each.
var kinds = []struct {
	name string
	apps *int
	open func(context.Context) (place, error)
}{
	{"workbench", appsOnBench, func(context.Context) (place, error) { return &bench{}, nil }},
	{"sim", appsOnSim, func(ctx context.Context) (place, error) { return onSim(ctx) }},
	{"server", appsOnServer, func(ctx context.Context) (place, error) { return onServer(ctx) }},
}

func TestVerdict_NeverContradictsApp(t *testing.T) {
	for _, kind := range kinds {
		for shard := range min(*shards, *kind.apps) {
			if *only != "" {
				break
			}
			t.Run(fmt.Sprintf("%s/%d", kind.name, shard), func(t *testing.T) {
				t.Parallel()
				forAll(t, (*kind.apps+*shards-1) / *shards, open(t, kind.open))
			})
		}
	}
}

func open(t *testing.T, start func(context.Context) (place, error)) place {
	t.Helper()
	w, err := start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.close()) })
	return w
}

// forAll checks so many random apps, one after another. The first that fails is shrunk.
func forAll(t *testing.T, count int, w place) {
	t.Helper()
	number, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		app := apps.Draw(rt, "app")
		if number++; number > count && !failed {
			return // rapid has one number of checks for all tests
		}
		if err := check(t.Context(), app, w); err != nil {
			if !failed {
				t.Logf("%v\nthe app, before it is shrunk: %s", err, app)
			}
			failed = true
			rt.Logf("%v\nthe app: %s", err, app)
			rt.Fatal("a verdict contradicts the app") // the same text each time: rapid shrinks what fails in one way
		}
	})
}

// TestVerdict_Cases runs the apps that once showed a wrong verdict.
func TestVerdict_Cases(t *testing.T) {
	t.Parallel()
	cases := map[string]string{"app": *only}
	if *only == "" {
		cases = read(t, "testdata/cases")
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			w := open(t, kind.open)
			for name, text := range cases {
				var app App
				require.NoError(t, json.Unmarshal([]byte(text), &app), "%s", name)
				t.Run(name, func(t *testing.T) { require.NoError(t, check(t.Context(), app, w)) })
			}
		})
	}
}

// read returns the contents of the JSON files in a folder, by their names without the ending.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		texts[strings.TrimSuffix(filepath.Base(file), ".json")] = string(text)
	}
	return texts
}

// check runs an app twice: after the first time it is asked what it did, while the second is going on it is asked the same.
func check(ctx context.Context, app App, w place) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tally.apps.Add(1)
	p := newPlayer(app, w)
	if err := w.start(ctx, p); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seedOf(app)))
	questions := general(app)
	for round := range 2 {
		id, f, err := p.round(ctx, w, fmt.Sprintf("root %d", round), pick(random, questions, mostEarly))
		if err != nil || f == nil {
			return err
		}
		questions = f.questions(app)
		if err := p.ask(ctx, w, id, *f, random, questions); err != nil {
			return err
		}
	}
	return nil
}

// mostEarly is how many questions are asked while an app works, mostJudged how many are asked of the place after its end.
const mostEarly, mostJudged = 6, 2

func seedOf(app App) (uint64, uint64) {
	h := fnv.New64()
	_, _ = h.Write([]byte(app.String()))
	return h.Sum64(), 0
}

// pick picks some of the questions, the first one always.
func pick(random *rand.Rand, questions []harness.Expectation, n int) []harness.Expectation {
	some := questions[:1:1]
	for _, i := range random.Perm(len(questions)) {
		if i > 0 && len(some) < n {
			some = append(some, questions[i])
		}
	}
	return some
}

// round sends the judged event, lets everything end, and checks the answers to the early questions. The facts are nil
// where the app cannot know them.
func (p *player) round(
	ctx context.Context, w place, by string, questions []harness.Expectation,
) (id string, f *facts, err error) {
	e := p.sending(rootEvent, by, "a")
	id, err = w.send(ctx, harness.Event{Name: e.name, Data: map[string]any{"by": by, "id": e.dataID}})
	if err != nil {
		return "", nil, err
	}
	p.sent(e, id)
	answers := w.early(ctx, id, questions)
	for _, o := range p.app.Extra {
		if err := w.settle(ctx, p); err != nil {
			return "", nil, err
		}
		e := p.sending(o.Event, "extra "+by, otherID("a", o.Other))
		extra, err := w.send(ctx, harness.Event{Name: o.Event, Data: map[string]any{"by": e.by, "id": e.dataID}})
		if err != nil {
			return "", nil, err
		}
		p.sent(e, extra)
	}
	if err := w.finish(ctx, p); err != nil {
		return "", nil, err
	}
	early, err := answers()
	if err != nil {
		return "", nil, err
	}
	found, ambiguous, err := p.facts(by)
	if err != nil || ambiguous {
		if ambiguous {
			tally.ambiguous.Add(1)
		}
		return "", nil, err
	}
	for _, a := range early {
		if err := p.compare(found, a); err != nil {
			return "", nil, err
		}
	}
	return id, &found, nil
}

// ask asks questions after the end: some of the place, and all of its trace.
func (p *player) ask(
	ctx context.Context, w place, id string, f facts, random *rand.Rand, questions []harness.Expectation,
) error {
	for _, q := range pick(random, questions, mostJudged) {
		v, err := w.judge(ctx, id, q)
		if err != nil {
			return err
		}
		if err := p.compare(f, answer{q, v, "after the end"}); err != nil {
			return err
		}
	}
	trace, err := w.trace(ctx, id)
	if err != nil {
		return err
	}
	for _, q := range questions {
		v, err := judge.Judge(q, trace, judge.Options{})
		if err != nil {
			return err
		}
		if err := p.compare(f, answer{q, v, "of the trace after the end"}); err != nil {
			return err
		}
	}
	return nil
}

// doubts are the reasons for which a question may go unanswered, and the apps that give them.
var doubts = []struct {
	why *regexp.Regexp
	of  func(App) bool
}{
	{regexp.MustCompile(`emails? (has|have) arrived since the event without a header that names a run`), func(a App) bool {
		return a.has(func(o Op) bool { return o.Unsigned })
	}},
	{regexp.MustCompile(`the app sent the event .* while a run was being called, and that run may have sent it`),
		func(a App) bool {
			functions := App{Functions: a.Functions}
			return len(a.Extra) > 0 && functions.has(func(o Op) bool { return o.Do == doPost })
		}},
	{regexp.MustCompile(`what happened cannot be read: .* has not answered in time`), func(App) bool { return true }},
}

// compare returns an error if a verdict contradicts the facts, or leaves open what it could know.
func (p *player) compare(f facts, a answer) error {
	tally.questions.Add(1)
	is := f.truth(a.expectation)
	wrong := a.verdict.Outcome == harness.Holds && is == isFalse || a.verdict.Outcome == harness.Broken && is == isTrue
	if a.verdict.Outcome == harness.CannotBeJudged {
		tally.doubts.Add(1)
		wrong = true
		for _, d := range doubts {
			wrong = wrong && !(d.of(p.app) && d.why.MatchString(a.verdict.Why))
		}
	}
	if !wrong {
		return nil
	}
	question, err := json.Marshal(a.expectation)
	if err != nil {
		return err
	}
	return fmt.Errorf("asked %s, of what is %s:\n%s\nthe verdict says:\n%s\nthe facts: %+v", a.when, is, question, a.verdict, f)
}
