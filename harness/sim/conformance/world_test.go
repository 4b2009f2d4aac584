package conformance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

// realURL is where the real server listens; set once, before any test.
var realURL string

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "1000"); err != nil { // slots bounds them
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := os.Setenv("INNGEST_DEV", "1"); err != nil { // all that tells the Go SDK's endpoints that calls are not signed
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code, err := withServer(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	http.DefaultClient.CloseIdleConnections()
	// The SDK registers through the default transport and never closes the answers' bodies, so their connections stay. For five
	// seconds after a reply a worker of its waits for whether to repeat it.
	find := func() error {
		return goleak.Find(goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
			goleak.IgnoreTopFunction("github.com/inngest/inngestgo/connect.(*messageBuffer).addPending.func1"))
	}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) { // connections end on their own
		if err = find(); err == nil || time.Since(began) > patience {
			break
		}
	}
	if code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// slots has a token for each scenario that is played beside others. They wait for the real server rather than work: many of them
// fit side by side.
var slots = make(chan struct{}, 8)

// takeSlot waits until a scenario may be played beside the others, until the end of the test.
func takeSlot(t *testing.T) {
	slots <- struct{}{}
	t.Cleanup(func() { <-slots })
}

// withServer runs the tests while a real dev server is up.
func withServer(run func() int) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	bin, err := toolchain.Ensure(ctx, harness.ServiceInngest, toolchain.Options{LookupEnv: pinnedOnly})
	if err != nil {
		return 1, err
	}
	if bin.Version != toolchain.Pinned(harness.ServiceInngest) {
		return 1, fmt.Errorf("the real server is %s, and sim is held to %s", bin.Version, toolchain.Pinned(harness.ServiceInngest))
	}
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ports, err := port.Free(4)
	if err != nil {
		return 1, err
	}
	p, err := proc.Start(ctx, proc.Spec{
		Name: "inngest", Path: bin.Path, Dir: dir, LogFile: filepath.Join(dir, "inngest.log"),
		Env: []string{"DO_NOT_TRACK=1", "HOME=" + dir, "PATH=" + os.Getenv("PATH"), "GOGC=" + os.Getenv("GOGC")},
		Args: []string{"dev", "--host", "127.0.0.1", "--no-discovery", "--no-poll", "--tick", "100", "--retry-interval", "1",
			"--port", strconv.Itoa(ports[0]), "--connect-gateway-port", strconv.Itoa(ports[1]),
			"--connect-gateway-grpc-port", strconv.Itoa(ports[2]), "--connect-executor-grpc-port", strconv.Itoa(ports[3])},
	})
	if err != nil {
		return 1, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = errors.Join(err, p.Stop(ctx, 5*time.Second))
	}()
	realURL = "http://127.0.0.1:" + strconv.Itoa(ports[0])
	api := newClient(realURL)
	defer func() { _ = api.Close(context.Background()) }()
	if err := p.WaitReady(ctx, api.Ready); err != nil {
		return 1, err
	}
	return run(), nil
}

// pinnedOnly keeps another version of the server from being taken, such as a newer one that is installed.
func pinnedOnly(variable string) (string, bool) {
	switch variable {
	case "HARNESS_IGNORE_INSTALLED":
		return "1", true
	case "INNGEST_BIN":
		return "", false
	default:
		return os.LookupEnv(variable)
	}
}

// world is a server with an app on it.
type world interface {
	// url is where the app finds the server.
	url() string
	// register makes the app known.
	register(app http.Handler) error
	// settle waits until the app has been called so many times in all, and the server has done all that it can do now.
	settle(r *recorder, calls int)
	// finish waits until the app has been called so many times in all, n runs are over and nothing is left to do.
	finish(r *recorder, n, calls int)
	client() *inngestapi.Client
	// now is the time of the server's clock, and pass lets some of it go by.
	now() time.Time
	pass(d time.Duration)
	// slow makes each call take as long.
	slow(d time.Duration)
	// queued waits until an event has a run.
	queued(eventID string)
}

type simWorld struct {
	t   testing.TB
	s   *sim.Sim
	srv *httptest.Server
	api *inngestapi.Client
}

// newClient returns a client that gives a server on a busy machine time to answer.
func newClient(url string) *inngestapi.Client {
	return inngestapi.New(url, inngestapi.Options{HTTPClient: &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}})
}

func newSimWorld(t testing.TB) world {
	s := sim.New(sim.Options{RetryInterval: time.Second, CallTimeout: time.Minute})
	srv := httptest.NewServer(s.Handler())
	api := newClient(srv.URL)
	t.Cleanup(func() {
		_ = api.Close(context.Background())
		srv.Close()
		require.NoError(t, s.Close(context.Background()))
	})
	return &simWorld{t, s, srv, api}
}

func (w *simWorld) url() string                     { return w.srv.URL }
func (w *simWorld) register(app http.Handler) error { return w.s.RegisterHandler(w.t.Context(), app) }
func (w *simWorld) settle(*recorder, int)           { require.NoError(w.t, w.s.Settle(w.t.Context())) }
func (w *simWorld) client() *inngestapi.Client      { return w.api }
func (w *simWorld) now() time.Time                  { return w.s.Now() }
func (w *simWorld) pass(d time.Duration)            { require.NoError(w.t, w.s.Advance(w.t.Context(), d)) }

func (w *simWorld) queued(string) { require.NoError(w.t, w.s.Settle(w.t.Context())) }

func (w *simWorld) slow(d time.Duration) { w.s.InjectFault(sim.Fault{Times: math.MaxInt, Late: d}) }

func (w *simWorld) finish(*recorder, int, int) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	require.NoError(w.t, w.s.Run(ctx))
}

type realWorld struct {
	t   testing.TB
	api *inngestapi.Client
	srv *httptest.Server
}

func newRealWorld(t testing.TB) world {
	api := newClient(realURL)
	t.Cleanup(func() { _ = api.Close(context.Background()) })
	return &realWorld{t: t, api: api}
}

func (w *realWorld) url() string                { return realURL }
func (w *realWorld) client() *inngestapi.Client { return w.api }
func (w *realWorld) now() time.Time             { return time.Now() }
func (w *realWorld) pass(d time.Duration)       { time.Sleep(d) }
func (w *realWorld) slow(time.Duration)         {} // the recorder is

func (w *realWorld) queued(eventID string) {
	require.Eventually(w.t, func() bool {
		runs, err := w.api.EventRuns(w.t.Context(), eventID)
		return err == nil && len(runs) > 0
	}, patience, 50*time.Millisecond, "a run of the event")
}

func (w *realWorld) register(app http.Handler) error {
	if w.srv == nil {
		w.srv = httptest.NewServer(app)
		w.t.Cleanup(w.srv.Close)
	}
	_, err := w.api.Sync(w.t.Context(), inngestapi.App{URL: w.srv.URL + "/api/inngest"})
	return err
}

const (
	// calm is how long nothing must happen before the real server is taken to be done: it looks at its events every 250 ms.
	calm = 900 * time.Millisecond
	// patience is how long a call that sim made, or a record that sim has, is waited for: a busy server is late.
	patience = 30 * time.Second
)

func (w *realWorld) settle(r *recorder, calls int) { w.wait(r, 0, calls) }

func (w *realWorld) finish(r *recorder, n, calls int) { w.wait(r, n, calls) }

func (w *realWorld) wait(r *recorder, n, calls int) {
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(100 * time.Second)
	defer deadline.Stop()
	for {
		quiet, seen, runs := r.quiet()
		over := 0
		// Too few calls are found when the accounts are compared.
		if quiet >= calm && time.Since(began) >= calm && (seen >= calls || quiet >= patience) {
			for _, id := range runs {
				if run, err := w.api.Run(w.t.Context(), id); err == nil && run.Status.Final() {
					over++
				}
			}
			if over >= n {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			require.FailNow(w.t, "the real server does not finish", "%d of %d runs are over, %d were seen", over, n, len(runs))
		}
	}
}

// readRun asks a server, whichever it is, with the same client.
func readRun(t testing.TB, api *inngestapi.Client, id string) runAccount {
	run, err := api.Run(t.Context(), id)
	require.NoError(t, err)
	out := runAccount{Status: string(run.Status), Error: scrubText(run.Error)}
	if len(run.Output) > 0 {
		out.Output = scrub(decode(run.Output))
	}
	trace, err := api.Trace(t.Context(), id)
	require.NoError(t, err)
	for _, s := range trace.Steps {
		step := stepAccount{
			ID: s.ID, Op: s.Op, Status: string(s.Status), Error: scrubText(s.Error),
			began: s.Started.Truncate(time.Millisecond), ended: s.Ended.Truncate(time.Millisecond),
		}
		if len(s.Output) > 0 {
			step.Output = scrub(decode(s.Output))
		}
		for _, a := range s.Attempts {
			step.Attempts = append(step.Attempts, string(a.Status)+" "+scrubText(a.Error))
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

// play is a scenario being played.
type play struct {
	t      testing.TB
	w      world
	app    string
	client inngestgo.Client
	rec    *recorder
	began  time.Time
	errs   []string
}

func (p *play) connect(check *checkpoint.Config) {
	url := p.w.url()
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: p.app, Dev: inngestgo.BoolPtr(true), APIBaseURL: &url, EventAPIBaseURL: &url, Checkpoint: check,
		SigningKey: inngestgo.StrPtr(sim.New(sim.Options{}).SigningKey()),
		Logger:     slog.New(slog.DiscardHandler),
	})
	require.NoError(p.t, err)
	p.client = client
}

// deploy registers the app with other functions.
func (p *play) deploy(build func()) {
	p.connect(nil)
	build()
	p.rec.replace(p.client.Serve())
	require.NoError(p.t, p.w.register(p.rec))
}

// ev is an event name of the scenario's own.
func (p *play) ev(name string) string { return p.app + "/" + name }

type (
	ctx   = context.Context
	input = inngestgo.Input[map[string]any]
	opts  = inngestgo.FunctionOpts
	body  = func(context.Context, input) (any, error)
)

// on defines a function for one of the scenario's events, or, with "=" before it, for an event of that very name.
func (p *play) on(event string, o opts, f body) { p.when(event, "", o, f) }

func (p *play) when(event, expression string, o opts, f body) {
	var when *string
	if expression != "" {
		when = &expression
	}
	name, verbatim := strings.CutPrefix(event, "=")
	if !verbatim {
		name = p.ev(event)
	}
	p.trigger(inngestgo.MultipleTriggers{inngestgo.EventTrigger(name, when)}, o, f)
}

type data = map[string]any

func (p *play) send(name string, d data) { p.sendID(name, "", d) }

func (p *play) sendID(name, id string, d data) (eventID string) {
	e := inngestgo.Event{Name: p.ev(name), Data: d}
	if id != "" {
		e.ID = &id
	}
	eventID, err := p.client.Send(p.t.Context(), e)
	if err != nil {
		p.errs = append(p.errs, scrubText(err.Error()))
	}
	return eventID
}

func (p *play) settle(calls int) { p.w.settle(p.rec, calls) }

// post sends a body to the event API as it is, and notes whether it was refused.
func (p *play) post(body string) {
	resp, err := http.Post(p.w.url()+"/e/key", "application/json", strings.NewReader(body))
	require.NoError(p.t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(p.t, err)
	p.errs = append(p.errs, fmt.Sprintf("%.40s → %d", body, resp.StatusCode))
}
