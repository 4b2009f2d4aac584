package inngestapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

// received waits until the server shows an event.
func received(t *testing.T, api *inngestapi.Client, id string) inngestapi.ReceivedEvent {
	var e inngestapi.ReceivedEvent
	eventually(t, "the event", func() (ok bool) {
		var err error
		e, err = api.Event(limit(t), id)
		return err == nil
	})
	return e
}

func TestSend(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	own := ulid.Make().String()
	ids, err := api.Send(limit(t),
		harness.Event{Name: "send/own", IdempotencyKey: own, Data: map[string]any{"n": 1}, User: map[string]any{"id": 7}, TS: 1_700_000_000_000, V: "2"},
		harness.Event{Name: "send/raw", Data: json.RawMessage(`{"n":2}`)},
		harness.Event{Name: "send/bytes", Data: []byte(`{"n":3}`)},
		harness.Event{Name: "send/struct", Data: struct {
			N int `json:"n"`
		}{4}},
		harness.Event{Name: "send/none"})
	require.NoError(t, err)
	require.Len(t, ids, 5)
	for i, want := range []struct{ name, data string }{
		{"send/own", `{"n":1}`}, {"send/raw", `{"n":2}`}, {"send/bytes", `{"n":3}`}, {"send/struct", `{"n":4}`}, {"send/none", `{}`},
	} {
		_, err := ulid.ParseStrict(ids[i])
		require.NoError(t, err)
		e := received(t, api, ids[i])
		require.Equal(t, ids[i], e.EventID)
		require.Equal(t, want.name, e.Name)
		require.JSONEq(t, want.data, string(e.Data))
		require.WithinDuration(t, time.Now(), e.Received, time.Minute)
		if i == 0 {
			require.Equal(t, own, e.IdempotencyKey)
		} else {
			require.Equal(t, ids[i], e.IdempotencyKey, "the ULID stands for an id of its own")
		}
	}
}

func TestSend_RefusedEvents(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	for name, tc := range map[string]struct {
		events []harness.Event
		want   string
	}{
		"none":           {nil, "send: no event given"},
		"no name":        {[]harness.Event{{}}, `send event "": the server refused: the Inngest server at ` + server.URL + ": it answered 400 Bad Request: event name is empty"},
		"reserved name":  {[]harness.Event{{Name: "inngest/a"}}, "event name is reserved for internal use: inngest/a"},
		"no object":      {[]harness.Event{{Name: "a", Data: "text"}}, "400 Bad Request: json: cannot unmarshal string"},
		"too large":      {[]harness.Event{{Name: "a", Data: map[string]any{"a": strings.Repeat("a", 4<<20)}}}, "Event is over the max size"},
		"no JSON":        {[]harness.Event{{Name: "a", Data: func() {}}}, `send event "a": encode: json: unsupported type: func()`},
		"one of several": {[]harness.Event{{Name: "a", Data: 1}, {Name: "b"}}, `send 2 events, the first "a": the server refused: `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := api.Send(limit(t), tc.events...)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// The server takes events one by one.
func TestSend_ReturnsIDsAcceptedBeforeARefusal(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	ids, err := api.Send(limit(t), harness.Event{Name: "partly/good"}, harness.Event{Name: "inngest/bad"})
	require.ErrorContains(t, err, "event name is reserved for internal use: inngest/bad")
	require.ErrorIs(t, err, inngestapi.ErrRefused)
	require.Len(t, ids, 2)
	require.Empty(t, ids[1], "it was refused")
	require.Equal(t, "partly/good", received(t, api, ids[0]).Name)
}

// What a dev server does not say, others do.
func TestSend_ErrorsOfOtherServers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code       int
		body, want string
	}{
		"unknown key":    {401, `{"error":"Event key not found"}`, "the server does not take this event key: set INNGEST_EVENT_KEY to a key of it: the Inngest server at BASE: it answered 401 Unauthorized: Event key not found"},
		"too large":      {413, ``, "the server refused: it is too large: the Inngest server at BASE: it answered 413 Request Entity Too Large"},
		"not yet":        {503, `{"error":"Event keys are required"}`, "the Inngest server at BASE: it answered 503 Service Unavailable: Event keys are required"},
		"refused in 200": {200, `{"ids":[""],"status":400,"error":"no"}`, "the server refused: no"},
		"too few ids":    {200, `{"ids":[],"status":200}`, "the server answered with 0 ids for 1 events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.code)
				fmt.Fprint(w, tc.body)
			}))
			defer s.Close()
			_, err := newClient(t, s.URL).Send(limit(t), harness.Event{Name: "a"})
			require.EqualError(t, err, `send event "a": `+strings.ReplaceAll(tc.want, "BASE", s.URL))
		})
	}
}

func TestEvent_Errors(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	id := ulid.Make().String()
	_, err := api.Event(limit(t), id)
	require.ErrorIs(t, err, inngestapi.ErrNotFound)
	_, err = api.Event(limit(t), "my-own-id")
	require.ErrorContains(t, err, "read event my-own-id: the Inngest server refused a query: ")
	require.NotErrorIs(t, err, inngestapi.ErrNotFound)
}

func TestEvents_ReadsAllPages(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	since := time.Now().Add(-time.Second)
	const n = 120
	var sent []harness.Event
	for i := range n {
		sent = append(sent, harness.Event{Name: "paged/a", Data: map[string]int{"i": i}})
	}
	ids, err := api.Send(limit(t), append(sent, harness.Event{Name: "paged/b"})...)
	require.NoError(t, err)
	received(t, api, ids[n])

	filter := inngestapi.EventFilter{Since: since, Names: []string{"paged/a"}}
	var all []inngestapi.ReceivedEvent
	eventually(t, "all events", func() bool {
		all, err = api.Events(limit(t), filter)
		require.NoError(t, err)
		return len(all) == n
	})
	var got []string
	for _, e := range all {
		got = append(got, e.EventID)
	}
	require.ElementsMatch(t, ids[:n], got)
	require.IsDecreasing(t, got, "newest first")

	filter.Limit = 60
	some, err := api.Events(limit(t), filter)
	require.NoError(t, err)
	require.Equal(t, all[:60], some)
	none, err := api.Events(limit(t), inngestapi.EventFilter{Since: since, Until: since.Add(time.Millisecond), Names: []string{"paged/a"}})
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestReady(t *testing.T) {
	t.Parallel()
	require.NoError(t, newClient(t, server.URL).Ready(limit(t)))

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := newClient(t, nowhere).Ready(ctx)
	require.EqualError(t, err, "wait for the Inngest server to be ready: context deadline exceeded: the Inngest server at "+nowhere+
		" cannot be reached (is it running?): connection refused")
}

// In its first milliseconds a server accepts events and loses them.
func TestReady_MoreThanAnswering(t *testing.T) {
	t.Parallel()
	var sent, shown atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/health":
		case strings.HasPrefix(r.URL.Path, "/e/"):
			fmt.Fprintf(w, `{"ids":["%d"],"status":200}`, sent.Add(1))
		case sent.Load() < 3:
			fmt.Fprint(w, `{"errors":[{"message":"event not found: 1"}]}`)
		default:
			shown.Add(1)
			fmt.Fprint(w, `{"data":{"eventV2":{}}}`)
		}
	}))
	defer s.Close()
	api := newClient(t, s.URL)
	require.NoError(t, api.Ready(limit(t)))
	require.Equal(t, int64(3), sent.Load())
	require.Equal(t, int64(1), shown.Load())

	sent.Store(-1000)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	require.EqualError(t, api.Ready(ctx), "wait for the Inngest server to be ready: context deadline exceeded: it accepts events and does not show them")
}

// Many questions at once leave the server time for its runs, and do not hold up what is sent.
func TestClient_AsksFewQuestionsAtOnce(t *testing.T) {
	t.Parallel()
	const questions = 40
	var now, most atomic.Int32
	asked, answer := make(chan struct{}, questions), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/e/") {
			fmt.Fprint(w, `{"ids":["01JDD9WRP1F5G1Y9ZVC4Q4XKZS"],"status":200}`)
			return
		}
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		asked <- struct{}{}
		<-answer
		now.Add(-1)
		fmt.Fprint(w, `{"data":{"run":{"id":"r","status":"RUNNING"}}}`)
	}))
	t.Cleanup(server.Close)
	api := newClient(t, server.URL)
	var all errgroup.Group
	for range questions {
		all.Go(func() error { _, err := api.Run(limit(t), "r"); return err })
	}
	for range 4 {
		<-asked
	}
	_, err := api.Send(limit(t), harness.Event{Name: "a/b"})
	require.NoError(t, err)
	hurried, cancel := context.WithCancelCause(limit(t))
	cancel(errors.New("no time"))
	_, err = api.Run(hurried, "r")
	require.ErrorContains(t, err, "has not answered in time: no time")
	close(answer)
	require.NoError(t, all.Wait())
	require.EqualValues(t, 4, most.Load())
}
