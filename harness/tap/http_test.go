package tap_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

func TestHTTP_ChangesNothing(t *testing.T) {
	t.Parallel()
	type seen struct {
		Method, URI, Host, Body string
		Header                  http.Header
	}
	got := make(chan seen, 1)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- seen{r.Method, r.RequestURI, r.Host, string(body), r.Header}
		w.Header().Set("X-Answer", "kept")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	}))
	t.Cleanup(far.Close)
	s := newSet(t, tap.Options{})
	calls, err := s.Calls("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	api, err := s.API("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	// The API is for programs of this machine.
	for w, host := range map[*tap.Wire]string{calls: "app.example:99", api: "localhost:99"} {
		for _, uri := range []string{
			"/", "/a%2Fb/../c?x=1;y=%zz&&", "/api/inngest?fnId=plant-notify&stepId=step", "/e/key", "/v1/checkpoint/01RUN/async",
		} {
			conn, err := net.Dial("tcp", w.Addr())
			require.NoError(t, err)
			_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: 10.0.0.1\r\nX-Odd: a\r\nX-Odd: b\r\nContent-Length: 4\r\nConnection: close\r\n\r\n{ }\x00", uri, host)
			require.NoError(t, err)
			answer, err := io.ReadAll(conn)
			require.NoError(t, err)
			_ = conn.Close()
			require.Contains(t, string(answer), "HTTP/1.1 418 I'm a teapot\r\n")
			require.Contains(t, string(answer), "X-Answer: kept\r\n")
			require.Contains(t, string(answer), "short and stout")
			require.Equal(t, seen{"POST", uri, host, "{ }\x00", http.Header{
				"X-Forwarded-For": {"10.0.0.1"}, "X-Odd": {"a", "b"}, "Content-Length": {"4"},
			}}, <-got)
		}
	}
}

// A body without content would be sent in chunks, and frameworks such as Fastify refuse chunks without a content type.
func TestHTTP_EmptyBodyStaysEmpty(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Method, " ", r.ContentLength, " ", r.TransferEncoding)
	}))
	t.Cleanup(far.Close)
	s := newSet(t, tap.Options{})
	calls, err := s.Calls("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	for _, body := range []io.Reader{nil, strings.NewReader("")} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+calls.Addr()+"/api/inngest", body)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "PUT 0 []", string(got))
	}
}

// A web page can make a browser send events to a port of this machine.
func TestAPI_RefusesPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	far := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(far.Close)
	s := newSet(t, tap.Options{})
	api, err := s.API("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	for _, foreign := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("Origin", "https://evil.test") },
		func(r *http.Request) { r.Host = "evil.test" },
	} {
		req, err := http.NewRequest(http.MethodPost, api.URL()+"/e/key", strings.NewReader(`{"name":"a/b"}`))
		require.NoError(t, err)
		foreign(req)
		res, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusForbidden, res.StatusCode)
	}
	require.Zero(t, reached.Load())
	require.Empty(t, s.Exchanges())
}

func TestHTTP_StreamsOtherTraffic(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			conn, rw, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := rw.ReadString('\n')
			_, _ = io.WriteString(conn, "echo "+line)
			return
		}
		_, _ = io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-gate
		_, _ = io.WriteString(w, "data: 2\n\n")
	}))
	t.Cleanup(far.Close)
	s := newSet(t, tap.Options{})
	w, err := s.API("127.0.0.1:0", far.URL)
	require.NoError(t, err)

	resp, err := client.Get(w.URL() + "/v1/stream")
	require.NoError(t, err)
	in := bufio.NewReader(resp.Body)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "data: 1\n", line, "the beginning passes while the rest is still to come")
	close(gate)
	rest, err := io.ReadAll(in)
	require.NoError(t, err)
	require.Equal(t, "\ndata: 2\n\n", string(rest))
	require.NoError(t, resp.Body.Close())

	conn, err := net.Dial("tcp", w.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET /connect HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	require.NoError(t, err)
	in = bufio.NewReader(conn)
	upgrade, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, upgrade.StatusCode)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	all, err := io.ReadAll(in)
	require.NoError(t, err)
	require.Equal(t, "echo hello\n", string(all))

	other := over(s, func(c tap.Exchange) bool { return c.HTTP != nil })
	require.Len(t, other, 2)
	require.Equal(t, tap.HTTP{Method: "GET", Path: "/v1/stream", Status: 200}, *other[0].HTTP)
}

func TestHTTP_FarSideIsNotThere(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{}, nil)
	require.NoError(t, p.calls.SetTarget(""))
	_, err := p.call(t.Context(), "01RUN", 0)
	require.ErrorIs(t, err, io.EOF, "no answer is better than an answer of the tap's own")
	require.Equal(t, "the far side is not there yet", await(t, p.set, "the call", onCalls).Err)

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	require.NoError(t, p.calls.SetTarget("http://"+ln.Addr().String()))
	_, err = p.call(t.Context(), "01RUN", 0)
	require.ErrorIs(t, err, io.EOF)
	refused := over(p.set, onCalls)[1]
	require.Contains(t, refused.Err, "dial tcp "+ln.Addr().String())
	require.Zero(t, refused.HTTP.Status)

	require.NoError(t, p.calls.SetTarget(p.app.URL))
	p.finish("01RUN")
	require.ErrorContains(t, p.calls.SetTarget("127.0.0.1:80"), `tap inngest→app: the target "127.0.0.1:80" is not a base URL`)
}

func TestFaults_AtCall(t *testing.T) {
	t.Parallel()
	twice := func(change func(*tap.Fault)) tap.Fault {
		f := tap.Fault{At: tap.AtCall, Do: tap.Twice, After: "look-up", Function: "notify"}
		if change != nil {
			change(&f)
		}
		return f
	}
	tests := map[string]struct {
		fault    tap.Fault
		sends    int // how often the step runs in the end
		failures int // calls that the server has to repeat
		lasts    time.Duration
	}{
		"drop":              {tap.Fault{At: tap.AtCall, Do: tap.Drop, After: "look-up"}, 1, 1, 0},
		"status":            {tap.Fault{At: tap.AtCall, Do: tap.Reply, Code: 503, Text: "busy", Times: 3}, 1, 3, 0},
		"delay":             {tap.Fault{At: tap.AtCall, Do: tap.Delay, For: 40 * time.Millisecond, Run: "01RUN"}, 1, 0, 40 * time.Millisecond},
		"answer late":       {tap.Fault{At: tap.AtCall, Do: tap.DelayAnswer, For: 40 * time.Millisecond, Step: "send"}, 1, 0, 40 * time.Millisecond},
		"answer lost":       {tap.Fault{At: tap.AtCall, Do: tap.DropAnswer, Step: "send"}, 2, 1, 0},
		"of the retry":      {tap.Fault{At: tap.AtCall, Do: tap.DropAnswer, Step: "send", Attempt: 2}, 1, 0, 0},
		"of another run":    {tap.Fault{At: tap.AtCall, Do: tap.Drop, Run: "02RUN"}, 1, 0, 0},
		"of another":        {tap.Fault{At: tap.AtCall, Do: tap.Drop, Function: "tify"}, 1, 0, 0},
		"twice":             {twice(nil), 2, 0, 0},
		"twice at once":     {twice(func(f *tap.Fault) { f.Concurrent = true }), 2, 0, 0},
		"twice, 2nd answer": {twice(func(f *tap.Fault) { f.Second = true }), 2, 0, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newEnv(t, tap.Options{}, nil)
			i := inject(t, p.set, test.fault)
			began := time.Now()
			p.finish("01RUN")
			require.GreaterOrEqual(t, time.Since(began), test.lasts)
			sends := 0
			for _, name := range p.steps() {
				if name == "send" {
					sends++
				}
			}
			require.Equal(t, test.sends, sends)
			require.Len(t, over(p.set, onCalls), 4+test.failures)
			var faults []string
			for _, c := range over(p.set, onCalls) {
				faults = append(faults, c.Faults...)
			}
			require.Len(t, faults, i.Applied())
			for _, f := range faults {
				require.Equal(t, test.fault.String(), f)
			}
		})
	}
}

func TestFaults_LoseAtCall(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{}, nil)
	lost := inject(t, p.set, tap.Fault{At: tap.AtCall, Do: tap.Lose})
	ctx, giveUp := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := p.call(ctx, "01RUN", 0)
		failed <- err
	}()
	reached(t, lost)
	giveUp()
	require.ErrorIs(t, <-failed, context.Canceled)
	got := await(t, p.set, "the end", onCalls)
	require.Equal(t, "cut by a fault: lose at call", got.Err)
	require.Empty(t, p.steps())
}

// A fault at a step does the same with checkpointing and without.
func TestFaults_AtStep(t *testing.T) {
	t.Parallel()
	modes := map[string]func(*inngestgo.ClientOpts){"calls": nil, "checkpoints": checkpointing}
	for mode, change := range modes {
		for _, step := range []struct{ name, after string }{{"fetch", ""}, {"look-up", "fetch"}, {"send", "look-up"}} {
			hold := func(t *testing.T, f tap.Fault) (*env, *tap.Injection, <-chan struct{}) {
				p := newEnv(t, tap.Options{}, change)
				i := inject(t, p.set, f)
				finished := make(chan struct{})
				go func() {
					defer close(finished)
					p.finish("01RUN")
				}()
				reached(t, i)
				return p, i, finished
			}
			all := []string{"fetch", "look-up", "send"}
			var before []string
			for _, s := range all {
				if s == step.name {
					break
				}
				before = append(before, s)
			}
			through := append(append([]string(nil), before...), step.name)

			t.Run(mode+"/before "+step.name, func(t *testing.T) {
				t.Parallel()
				p, i, finished := hold(t, tap.Fault{At: tap.AtStep, Step: step.name, After: step.after, Do: tap.Hold})
				require.Equal(t, before, p.steps())
				require.Len(t, p.savedSteps("01RUN"), len(before), "the steps before it are saved")
				i.Release()
				<-finished
				require.Equal(t, all, p.steps())
			})
			t.Run(mode+"/after "+step.name, func(t *testing.T) {
				t.Parallel()
				p, i, finished := hold(t, tap.Fault{At: tap.AtStep, Step: step.name, Do: tap.HoldAnswer})
				require.Equal(t, through, p.steps())
				require.Len(t, p.savedSteps("01RUN"), len(before), "it ran, and is not saved")
				i.Release()
				<-finished
				require.Equal(t, all, p.steps())
			})
			for _, do := range []tap.Action{tap.DropAnswer, tap.HoldAnswer} {
				t.Run(mode+"/lost "+string(do)+" "+step.name, func(t *testing.T) {
					t.Parallel()
					p, i, finished := hold(t, tap.Fault{At: tap.AtStep, Step: step.name, Do: do, Attempt: 1})
					if do == tap.HoldAnswer {
						i.Drop()
					}
					<-finished
					got := p.steps()
					require.Equal(t, through, got[:len(through)])
					require.Equal(t, all[len(before):], got[len(got)-3+len(before):], "it ran again, and the rest after it")
					require.Equal(t, 1, i.Applied())
				})
			}
		}
	}
}

func (p *env) savedSteps(run string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.order[run]
}

func TestFaults_AtCheckpoint(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault  tap.Fault
		saved  bool // the step was saved by its checkpoint
		status int
	}{
		"refused":     {tap.Fault{At: tap.AtCheckpoint, Step: "look-up", Do: tap.Reply, Code: 503}, false, 503},
		"dropped":     {tap.Fault{At: tap.AtCheckpoint, Step: "look-up", Do: tap.Drop, Function: "notify", Attempt: 1}, false, 0},
		"discarded":   {tap.Fault{At: tap.AtCheckpoint, Step: "look-up", Do: tap.Discard}, false, 200},
		"answer lost": {tap.Fault{At: tap.AtCheckpoint, Step: "look-up", Do: tap.DropAnswer, Run: "01RUN"}, true, 0},
		"answer late": {tap.Fault{At: tap.AtCheckpoint, Step: "look-up", Do: tap.DelayAnswer, For: time.Millisecond}, true, 200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newEnv(t, tap.Options{}, checkpointing)
			i := inject(t, p.set, test.fault)
			var savedBySend bool
			p.duringStep = func(step, run string) error {
				if step == "send" {
					savedBySend = len(p.savedSteps(run)) == 2
				}
				return nil
			}
			p.finish("01RUN")
			require.Equal(t, 1, i.Applied())
			require.Equal(t, test.saved, savedBySend)
			hit := await(t, p.set, "the checkpoint", func(c tap.Exchange) bool { return c.Checkpoint != nil && c.Over() && len(c.Faults) > 0 })
			require.Equal(t, test.status, hit.HTTP.Status)
			require.Equal(t, []string{test.fault.String()}, hit.Faults)
		})
	}
}

func TestFaults_AtEvent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault   tap.Fault
		arrived int
		fails   bool
	}{
		"refused, then accepted": {tap.Fault{At: tap.AtEvent, Do: tap.Reply, Code: 500, Times: 1}, 1, false},
		"refused for good":       {tap.Fault{At: tap.AtEvent, Do: tap.Reply, Code: 400}, 0, true},
		"lost silently":          {tap.Fault{At: tap.AtEvent, Event: "plant/broken", Do: tap.Discard}, 0, false},
		"connection closed":      {tap.Fault{At: tap.AtEvent, Do: tap.Drop}, 1, false},
		"answer lost":            {tap.Fault{At: tap.AtEvent, Do: tap.DropAnswer}, 2, false},
		"delayed":                {tap.Fault{At: tap.AtEvent, Do: tap.Delay, For: 10 * time.Millisecond}, 1, false},
		"of another name":        {tap.Fault{At: tap.AtEvent, Event: "plant/mended", Do: tap.Reply, Code: 400}, 1, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newEnv(t, tap.Options{}, nil)
			inject(t, p.set, test.fault)
			id, err := p.client.Send(t.Context(), inngestgo.Event{Name: "plant/broken", Data: map[string]any{"n": 1}})
			require.Equal(t, test.fails, err != nil)
			p.mu.Lock()
			defer p.mu.Unlock()
			require.Len(t, p.events, test.arrived)
			if test.fault.Do == tap.Discard {
				require.Len(t, id, 26, "a made-up id looks like a real one")
				require.Equal(t, id, over(p.set, func(c tap.Exchange) bool { return c.Dispatch != nil })[0].Dispatch.Events[0].EventID)
			}
		})
	}
}

// The app ends after a step and before its result is saved, as in the test of a crash.
func TestFaults_AppKilledWhileHeld(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{}, checkpointing)
	hold := inject(t, p.set, tap.Fault{At: tap.AtStep, Step: "send", Do: tap.HoldAnswer})
	failed := make(chan error)
	go func() {
		_, err := p.call(t.Context(), "01RUN", 0)
		failed <- err
	}()
	reached(t, hold)
	p.app.CloseClientConnections()
	hold.Drop()
	require.ErrorIs(t, <-failed, io.EOF)
	require.Len(t, p.savedSteps("01RUN"), 2)
	p.finish("01RUN")
	require.Equal(t, []string{"fetch", "look-up", "send", "send"}, p.steps())
}

func TestSet_CloseDropsHeldCalls(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{}, nil)
	hold := inject(t, p.set, tap.Fault{At: tap.AtCall, Do: tap.Hold})
	failed := make(chan error)
	go func() {
		_, err := p.call(t.Context(), "01RUN", 0)
		failed <- err
	}()
	reached(t, hold)
	require.NoError(t, p.set.Close(t.Context()))
	require.Error(t, <-failed)
	require.Equal(t, "the tap was closed", await(t, p.set, "the end", onCalls).Err)
	_, err := p.set.Calls("127.0.0.1:0", p.app.URL)
	require.ErrorContains(t, err, "open tap inngest→app: the set is closed")
}

func TestHTTP_RecordsNoKeys(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{}, checkpointing)
	_, err := p.client.Send(t.Context(), inngestgo.Event{Name: "plant/broken", Data: map[string]any{"n": 1}})
	require.NoError(t, err)
	p.finish("01RUN")
	require.NoError(t, p.api.SetTarget("http://127.0.0.1:1"))
	for _, path := range []string{"/e/" + eventKey, "/e/" + eventKey + "/more", "/v1/x?token=" + eventKey} {
		req, err := http.NewRequest(http.MethodPost, p.api.URL()+path, strings.NewReader("{}"))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+signingKey)
		_, err = client.Do(req)
		require.Error(t, err)
	}
	all, err := json.Marshal(p.set.Exchanges())
	require.NoError(t, err)
	require.Contains(t, string(all), "/e/***")
	require.NotContains(t, string(all), eventKey)
	require.NotContains(t, string(all), "deadbeef")
}

func TestCheckpoints_BelongToCallOfQueueItem(t *testing.T) {
	t.Parallel()
	s := newSet(t, tap.Options{})
	gate := make(chan struct{})
	var waiting atomic.Int32
	both := make(chan struct{})
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("fnId") != "" {
			if waiting.Add(1) == 2 {
				close(both)
			}
			<-gate
		}
	}))
	t.Cleanup(far.Close)
	calls, err := s.Calls("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	api, err := s.API("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	post := func(url, body string) error {
		resp, err := client.Post(url, "application/json", strings.NewReader(body))
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	done := make(chan error, 2)
	for attempt, item := range []string{"a", "b"} {
		go func() {
			done <- post(calls.URL()+"/api/inngest?fnId=f&stepId=step", fmt.Sprintf(`{"ctx":{"run_id":"01RUN","attempt":%d,"qi_id":%q}}`, attempt, item))
		}()
	}
	<-both
	require.NoError(t, post(api.URL()+"/v1/checkpoint/01RUN/async", `{"run_id":"01RUN","qi_id":"b","steps":[]}`))
	require.NoError(t, post(api.URL()+"/v1/checkpoint/01RUN/async", `{"run_id":"01RUN","steps":[]}`))
	require.NoError(t, post(api.URL()+"/v1/http/runs/02RUN/async", `not json`))
	close(gate)
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	saves := over(s, func(c tap.Exchange) bool { return c.Checkpoint != nil })
	require.Equal(t, 2, saves[0].Checkpoint.Attempt, "the queue item names the call")
	require.Zero(t, saves[1].Checkpoint.Attempt, "without it the call is unknown")
	require.Equal(t, "02RUN", saves[2].Checkpoint.RunID)
}

func TestWire_CloseEndsUpgradedConnections(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	}))
	t.Cleanup(far.Close)
	w, err := newSet(t, tap.Options{}).API("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", w.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET /connect HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	_, err = http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.NoError(t, w.Close(t.Context()))
	_, err = in.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

func TestHTTP_LargeBodiesPassUnread(t *testing.T) {
	t.Parallel()
	const size = 33 << 20
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/api/inngest" {
			_, _ = io.CopyN(w, zeros{}, size)
			return
		}
		_, _ = fmt.Fprint(w, n)
	}))
	t.Cleanup(far.Close)
	s := newSet(t, tap.Options{})
	api, err := s.API("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	calls, err := s.Calls("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	for _, length := range []int64{size, -1} {
		req, err := http.NewRequest(http.MethodPost, api.URL()+"/e/key", io.LimitReader(zeros{}, size))
		require.NoError(t, err)
		req.ContentLength = length
		resp, err := client.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, fmt.Sprint(size), string(body))
	}
	resp, err := client.Post(calls.URL()+"/api/inngest?fnId=f&stepId=step", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	_ = resp.Body.Close()
	require.EqualValues(t, size, n)
	all := s.Exchanges()
	require.Len(t, all, 3)
	require.Equal(t, []any{"/e/***", 200, "/e/***", 200, 200}, []any{all[0].HTTP.Path, all[0].HTTP.Status, all[1].HTTP.Path, all[1].HTTP.Status, all[2].HTTP.Status})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestFaults_MatchPlannedSteps(t *testing.T) {
	t.Parallel()
	p := newEnv(t, tap.Options{}, nil)
	hold := inject(t, p.set, tap.Fault{At: tap.AtStep, Step: "left", Do: tap.Hold})
	other := inject(t, p.set, tap.Fault{At: tap.AtCall, Step: "right", Do: tap.Reply, Code: 503})
	post := func(step string) int {
		resp, err := client.Post(p.calls.URL()+"/api/inngest?fnId="+function+"&stepId="+sdk.StepHash(step), "application/json", strings.NewReader(string(p.callBody("01RUN", 0))))
		require.NoError(t, err)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, 503, post("right"))
	require.Equal(t, 1, other.Applied())
	left := make(chan int)
	go func() { left <- post("left") }()
	reached(t, hold)
	require.Equal(t, sdk.StepHash("left"), p.set.Exchanges()[1].Call.Step)
	hold.Release()
	require.Equal(t, 200, <-left, "the function has no such step, and goes to its end")
}

func TestFaults_MatchWholeNamesOfFunctions(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_, _ = io.WriteString(w, `{"app_id": "in-band", "functions": []}`)
		}
	}))
	t.Cleanup(far.Close)
	s := newSet(t, tap.Options{AppPath: "/api/inngest"})
	api, err := s.API("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	calls, err := s.Calls("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	ask := func(method, url, body string) int {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		_ = res.Body.Close()
		return res.StatusCode
	}
	call := func(function string) int {
		return ask(http.MethodPost, calls.URL()+"/api/inngest?stepId=step&fnId="+function, "{}")
	}
	inject(t, s, tap.Fault{At: tap.AtCall, Do: tap.Reply, Code: 503, Function: "confirm", Times: -1})
	require.Equal(t, 503, call("shop-order-confirm"), "before it has registered, the id of the app is not known")
	ask(http.MethodPost, api.URL()+"/fn/register", `{"appName": "shop"}`)
	ask(http.MethodPut, calls.URL()+"/api/inngest", "")
	for function, status := range map[string]int{
		"shop-confirm": 503, "shop-order-confirm": 200, "in-band-confirm": 503, "in-band-order-confirm": 200, "confirm": 503, "shop-other": 200,
	} {
		require.Equal(t, status, call(function), function)
	}
	require.Equal(t, 503, call("elsewhere-order-confirm"))
}

func TestHTTP_ServerGivesUpOnStreamedAnswer(t *testing.T) {
	t.Parallel()
	running := make(chan struct{})
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, " ")
		w.(http.Flusher).Flush()
		close(running)
		<-r.Context().Done()
	}))
	t.Cleanup(far.Close)
	s := newSet(t, tap.Options{})
	w, err := s.Calls("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL()+"/api/inngest?fnId=f&stepId=step", strings.NewReader("{}"))
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	<-running
	cancel()
	_ = resp.Body.Close()
	require.Equal(t, "context canceled", await(t, s, "the end", onCalls).Err)
}

func TestHTTP_NotesCallsWithoutAnswer(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("fnId") {
		case "slow":
			close(arrived)
			<-release
		case "dies":
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(far.Close)
	t.Cleanup(func() { close(release) })
	s := newSet(t, tap.Options{})
	w, err := s.Calls("127.0.0.1:0", far.URL)
	require.NoError(t, err)
	call := func(ctx context.Context, function string) tap.Call {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL()+"/api/inngest?fnId="+function, strings.NewReader(`{"ctx":{"run_id":"`+function+`"}}`))
		require.NoError(t, err)
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
		}
		return *await(t, s, "the end of the call", func(x tap.Exchange) bool { return x.Call != nil && x.Call.FunctionID == function && x.Over() }).Call
	}
	ctx, hangUp := context.WithCancel(t.Context())
	go func() {
		<-arrived
		hangUp()
	}()
	c := call(ctx, "slow")
	require.True(t, c.Unanswered && c.Abandoned, "the server hung up")
	c = call(t.Context(), "dies")
	require.True(t, c.Unanswered && !c.Abandoned, "the app gave no answer")
	inject(t, s, tap.Fault{At: tap.AtCall, Do: tap.Twice})
	c = call(t.Context(), "fast")
	require.True(t, c.Repeated && !c.Unanswered && !c.Abandoned)
	inject(t, s, tap.Fault{At: tap.AtCall, Do: tap.Drop})
	c = call(t.Context(), "dropped")
	require.False(t, c.Unanswered, "the app did not get it")
	require.NoError(t, w.SetTarget("http://127.0.0.1:1"))
	c = call(t.Context(), "away")
	require.False(t, c.Unanswered || c.Abandoned, "the app is not there")
}
