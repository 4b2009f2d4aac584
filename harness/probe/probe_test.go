package probe_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/probe"
)

const key = "0123456789abcdef0123456789abcdef"

// env is an app, and a server in production mode that counts what would register the app.
type env struct {
	url, server string
	mu          sync.Mutex
	registered  []string // what the server was asked to register: the kind of server that the app expected
	open        map[string]string
}

type handler struct {
	origin   string
	unauthed bool
	dev      bool
	key      string
}

// newEnv makes an app, and a server that knows it at an address with a number of functions.
func newEnv(t *testing.T, h handler, registeredAt string, functions int) *env {
	e := &env{open: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		w.Header().Set("X-Inngest-Server-Kind", "cloud")
		switch body, open := e.open[r.URL.Path]; {
		case open:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write([]byte(body))
		case r.URL.Path == "/v0/gql":
			http.NotFound(w, r)
		case r.Header.Get("Authorization") == "":
			http.Error(w, "Authentication failed", http.StatusUnauthorized)
		case r.URL.Path == "/fn/register":
			e.registered = append(e.registered, r.Header.Get("X-Inngest-Expected-Server-Kind"))
			http.Error(w, `{"error":"another kind"}`, http.StatusBadRequest)
		default:
			_, _ = w.Write([]byte(`{"data":[{"id":"shop","functionCount":` + string(rune('0'+functions)) + `,"latestSync":{"url":"` + registeredAt + `"}}]}`))
		}
	}))
	t.Cleanup(server.Close)
	register := server.URL + "/fn/register"
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "shop", Dev: &h.dev, SigningKey: inngestgo.StrPtr("signkey-prod-" + h.key), EventKey: inngestgo.StrPtr("e"),
		APIBaseURL: &server.URL, RegisterURL: &register,
	})
	require.NoError(t, err)
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "pay"}, inngestgo.EventTrigger("shop/paid", nil),
		func(context.Context, inngestgo.Input[any]) (any, error) {
			t.Error("a probe has run a function")
			return nil, nil
		})
	require.NoError(t, err)
	serve := inngestgo.ServeOpts{EnableUnauthedSync: &h.unauthed}
	if h.origin != "" {
		serve.Origin = &h.origin
	}
	app := httptest.NewServer(client.ServeWithOpts(serve))
	t.Cleanup(app.Close)
	e.url, e.server = app.URL+"/api/inngest", server.URL
	return e
}

// probe returns the findings by their checks. Whatever it finds, nothing was registered.
func (e *env) probe(t *testing.T, key string) map[string]probe.Finding {
	api := inngestapi.New(e.server, inngestapi.Options{SigningKey: key})
	defer api.Close(t.Context())
	found := map[string]probe.Finding{}
	for _, f := range probe.Run(t.Context(), probe.Options{URL: e.url, SigningKey: key, Inngest: api}) {
		if key != "" {
			require.NotContains(t, f.What+f.Why+f.Do, key)
		}
		if f.Outcome == probe.Wrong {
			require.NotEmpty(t, f.Why, "%+v", f)
			require.NotEmpty(t, f.Do, "%+v", f)
		}
		found[f.Check] = f
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, kind := range e.registered {
		require.Equal(t, "harness-probe", kind, "a server of any kind would have registered the app")
	}
	return found
}

const (
	address = "the app has an address of its own"
	put     = "an unsigned PUT is refused"
	is      = "the app is registered"
)

func TestProbe_FindsNothingWrongWithAClosedApp(t *testing.T) {
	t.Parallel()
	e := newEnv(t, handler{origin: "https://shop.example", key: key}, "https://shop.example/api/inngest", 1)
	found := e.probe(t, key)
	for check, f := range found {
		require.NotEqual(t, probe.Wrong, f.Outcome, "%s: %+v", check, f)
		require.NotEqual(t, probe.Unknown, f.Outcome, "%s: %+v", check, f)
	}
	require.Equal(t, "it registers https://shop.example/api/inngest, whatever a request says", found[address].What)
	require.Equal(t, "shop at https://shop.example/api/inngest with 1 functions: shop-pay", found[is].What)
	require.Equal(t, probe.OK, found[put].Outcome)
	require.Equal(t, probe.Note, found["a signature from the future is refused"].Outcome)
	require.Empty(t, e.registered)
}

// A handler that registers itself for anybody, at the address in the Host of a request, is found without being registered.
func TestProbe_FindsAnAppThatCanBeTakenOver(t *testing.T) {
	t.Parallel()
	e := newEnv(t, handler{unauthed: true, key: key}, "http://other.example/api/inngest", 1)
	found := e.probe(t, key)
	require.Equal(t, probe.Wrong, found[put].Outcome)
	require.Contains(t, found[put].What, "believes the Host of a request")
	require.Equal(t, probe.Note, found[address].Outcome)
	require.Empty(t, e.registered)

	e = newEnv(t, handler{unauthed: true, key: key}, "http://other.example/api/inngest", 1)
	require.Equal(t, probe.Wrong, e.probe(t, "")[put].Outcome, "without the key, too")

	e = newEnv(t, handler{unauthed: true, key: key, origin: "https://shop.example"}, "http://other.example/api/inngest", 1)
	found = e.probe(t, key)
	require.Equal(t, probe.Note, found[put].Outcome)
	require.Equal(t, probe.Wrong, found[is].Outcome)
	require.Contains(t, found[is].What, "the app says that it is at https://shop.example/api/inngest")
}

func TestProbe_FindsWhatElseIsWrong(t *testing.T) {
	t.Parallel()
	at := "https://shop.example"
	for name, c := range map[string]struct {
		handler   handler
		functions int
		key       string
		check     string
		outcome   probe.Outcome
		what      string
	}{
		"development mode": {handler{origin: at, dev: true, key: key}, 1, key, "the app answers", probe.Wrong,
			"development mode"},
		"unsigned calls": {handler{origin: at, dev: true, key: key}, 1, key, "an unsigned call is refused", probe.Wrong,
			"it answers 410"},
		"another key": {handler{origin: at, key: key}, 1, "ff" + key[2:], "the app answers signed calls", probe.Wrong,
			"401"},
		"no key":               {handler{origin: at, key: key}, 1, "", address, probe.Unknown, "needs the signing key"},
		"a function too few":   {handler{origin: at, key: key}, 0, key, is, probe.Wrong, "the app has 1"},
		"unencrypted loopback": {handler{origin: at, key: key}, 1, key, "TLS", probe.Note, "not encrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newEnv(t, c.handler, at+"/api/inngest", c.functions).probe(t, c.key)[c.check]
			require.Equal(t, c.outcome, f.Outcome, "%+v", f)
			require.Contains(t, f.What, c.what)
		})
	}
	t.Run("nothing there", func(t *testing.T) {
		t.Parallel()
		other := httptest.NewServer(http.NotFoundHandler())
		defer other.Close()
		for url, what := range map[string]string{"http://127.0.0.1:1/api/inngest": "connection refused",
			other.URL: "no Inngest SDK's handler"} {
			found := probe.Run(t.Context(), probe.Options{URL: url})
			require.Len(t, found, 1)
			require.Equal(t, probe.Wrong, found[0].Outcome)
			require.Contains(t, found[0].What, what)
		}
	})
	t.Run("open doors", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t, handler{origin: at, key: key}, at+"/api/inngest", 1)
		e.open = map[string]string{"/v1/events": "{}", "/v0/gql": `{"data":{"__typename":"Query"}}`, "/mcp": "",
			"/metrics":             "inngest_queue_depth 1",
			"/debug/pprof/cmdline": "inngest\x00start\x00--signing-key\x00" + key}
		found := e.probe(t, key)
		for path := range e.open {
			require.Equal(t, probe.Wrong, found["the server's "+path+" is closed"].Outcome, path)
		}
		require.Contains(t, found["the server's /debug/pprof/cmdline is closed"].What, "has the signing key in it")
	})
}

// What is not available now is neither open nor closed.
func TestProbe_DoesNotKnowWhatIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/api/inngest" {
				w.WriteHeader(code)
				return
			}
			w.Header().Set("X-Inngest-Sdk", "go:v0.16.0")
		}))
		found := (&env{url: server.URL + "/api/inngest", server: server.URL}).probe(t, key)
		server.Close()
		for _, check := range []string{"an unsigned call is refused", "a call with another key is refused", "an old signature is refused",
			"a signature from the future is refused", put, "the server's /v0/gql is closed", "the server's /mcp is closed"} {
			require.Equal(t, probe.Unknown, found[check].Outcome, "%d, %s: %+v", code, check, found[check])
		}
	}
}

// A balancer that refuses a Host of which no address can be made gets the true one only where that can do no harm.
func TestProbe_BehindABalancer(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]probe.Outcome{"": probe.Unknown, "https://shop.example": probe.Note} {
		e := newEnv(t, handler{origin: origin, unauthed: true, key: key}, "https://shop.example/api/inngest", 1)
		app := e.url
		balancer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.Host, "%") {
				http.Error(w, "bad host", http.StatusBadRequest)
				return
			}
			out, err := http.NewRequestWithContext(r.Context(), r.Method, app+"?"+r.URL.RawQuery, r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			out.Host, out.Header = r.Host, r.Header
			res, err := http.DefaultClient.Do(out)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			for name := range res.Header {
				w.Header().Set(name, res.Header.Get(name))
			}
			w.WriteHeader(res.StatusCode)
			_, _ = io.Copy(w, res.Body)
		}))
		e.url = balancer.URL + "/api/inngest"
		require.Equal(t, want, e.probe(t, key)[put].Outcome, origin)
		balancer.Close()
	}
}
