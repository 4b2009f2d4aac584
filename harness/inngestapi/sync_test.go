package inngestapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
)

func nothing(context.Context, input) (any, error) { return nil, nil }

func TestSync_ListsFunctions(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	a := newApp(t, "shop-admin", server.URL+"/fn/register", false)
	a.add(inngestgo.FunctionOpts{ID: "on-order"}, inngestgo.EventTrigger("shop/order", inngestgo.StrPtr("event.data.n > 1")), nothing)
	a.add(inngestgo.FunctionOpts{ID: "nightly"}, inngestgo.CronTrigger("0 3 * * *"), nothing)
	a.add(inngestgo.FunctionOpts{ID: "batch", BatchEvents: &inngestgo.ConfigBatchEvents{MaxSize: 5, Timeout: time.Minute}},
		inngestgo.EventTrigger("shop/batch", nil), nothing)
	a.add(inngestgo.FunctionOpts{ID: "debounced", Debounce: &inngestgo.ConfigDebounce{Period: time.Minute}},
		inngestgo.EventTrigger("shop/debounced", nil), nothing)
	a.add(inngestgo.FunctionOpts{ID: "limited", RateLimit: &inngestgo.ConfigRateLimit{Limit: 1, Period: time.Minute}},
		inngestgo.EventTrigger("shop/limited", nil), nothing)
	a.add(inngestgo.FunctionOpts{ID: "single", Singleton: &inngestgo.ConfigSingleton{}},
		inngestgo.EventTrigger("shop/single", nil), nothing)

	// An app whose id begins alike does not take the other's functions.
	other := newApp(t, "shop", server.URL+"/fn/register", false)
	other.function("admin", 0, nothing)
	other.synced(api)

	functions, err := api.Sync(limit(t), a.at)
	require.NoError(t, err)
	want := []inngestapi.Function{
		{ID: "on-order", Triggers: []inngestapi.Trigger{{Event: "shop/order", Expression: "event.data.n > 1"}}},
		{ID: "nightly", Triggers: []inngestapi.Trigger{{Cron: "0 3 * * *"}}},
		{ID: "batch", Triggers: []inngestapi.Trigger{{Event: "shop/batch"}}, Batch: &inngestapi.FlowControl{MaxSize: 5, Timeout: "1m"}},
		{ID: "debounced", Triggers: []inngestapi.Trigger{{Event: "shop/debounced"}}, Debounce: &inngestapi.FlowControl{Period: "1m"}},
		{ID: "limited", Triggers: []inngestapi.Trigger{{Event: "shop/limited"}}, RateLimit: &inngestapi.FlowControl{Limit: 1, Period: "1m"}},
		{ID: "single", Triggers: []inngestapi.Trigger{{Event: "shop/single"}}, Singleton: &inngestapi.FlowControl{Mode: "skip"}},
	}
	for i := range want {
		want[i].App = "shop-admin"
		want[i].URL = strings.Replace(a.at.URL, "127.0.0.1", "localhost", 1) + "?fnId=shop-admin-" + want[i].ID + "&step=step"
	}
	byID := cmpopts.SortSlices(func(a, b inngestapi.Function) bool { return a.ID < b.ID })
	require.Empty(t, cmp.Diff(want, functions, byID))

	listed, err := api.Functions(limit(t))
	require.NoError(t, err)
	require.Subset(t, listed, functions)
	apps, err := api.Apps(limit(t))
	require.NoError(t, err)
	require.Contains(t, apps, inngestapi.RegisteredApp{
		ID: "shop-admin", URL: strings.Replace(a.at.URL, "127.0.0.1", "localhost", 1), Connected: true, FunctionCount: len(want),
	})

	serves, err := api.Serves(limit(t), a.at)
	require.NoError(t, err)
	require.True(t, serves)
	require.NoError(t, api.RemoveApp(limit(t), a.at))
	serves, err = api.Serves(limit(t), a.at)
	require.NoError(t, err)
	require.False(t, serves)
	err = api.RemoveApp(limit(t), a.at)
	require.ErrorIs(t, err, inngestapi.ErrNotFound)
	require.EqualError(t, err, "remove the app at "+a.at.URL+": the Inngest server knows no such thing")
	serves, err = api.Serves(limit(t), other.at)
	require.NoError(t, err)
	require.True(t, serves)

	again, err := api.Sync(limit(t), a.at)
	require.NoError(t, err, "an app that was removed can come back")
	require.Empty(t, cmp.Diff(functions, again, byID))
	require.NoError(t, api.RemoveApp(limit(t), a.at))
}

// Host is what the server calls, where it has to take another way than the test.
func TestSync_UnderAnotherHost(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	a := newApp(t, "elsewhere", server.URL+"/fn/register", false)
	a.function("f", 0, nothing)
	a.at.Host = "app.test:3000"
	a.synced(api)
	functions, err := api.Functions(limit(t))
	require.NoError(t, err)
	require.Contains(t, functions, inngestapi.Function{
		ID: "f", App: "elsewhere", URL: "http://app.test:3000/api/inngest?fnId=elsewhere-f&step=step",
		Triggers: []inngestapi.Trigger{{Event: "elsewhere/f"}},
	})
}

func TestSync_ErrorsSayWhichHalfFailed(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	answering := func(code int, header, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("X-Inngest-SDK", header)
			}
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // as the JavaScript SDK v4 answers
		w.Header().Set("X-Inngest-Sdk-Handled", "true")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"code":"internal_server_error"}`)
	}))
	t.Cleanup(cloud.Close)
	lost := newApp(t, "lost", nowhere, false)
	lost.function("f", 0, nothing)
	strangerURL := answering(200, "", `{"ok":true}`)
	foreign := newApp(t, "foreign", strangerURL, false)
	foreign.function("f", 0, nothing)
	known := newApp(t, "known", server.URL+"/fn/register", false)
	known.function("f", 0, nothing)
	known.synced(api)

	for name, tc := range map[string]struct{ url, want string }{
		"no listener":    {nowhere + "/api/inngest", "sync: the app at " + nowhere + "/api/inngest cannot be reached: connection refused"},
		"another path":   {answering(404, "", ""), "(404 Not Found): mount the SDK's handler there, or name the path where the handler is mounted (--app-path; in Go, stack.Options.AppPath)"},
		"cloud mode":     {cloud.URL, "answers a PUT with 500 Internal Server Error, as the JavaScript SDK does in cloud mode without a signing key (what the app prints says why): leave its mode to INNGEST_DEV"},
		"no PUT":         {answering(405, "", ""), "does not take a PUT (405 Method Not Allowed)"},
		"some page":      {answering(200, "", "<html>"), "answers, but is no Inngest SDK's handler (its answer has no X-Inngest-Sdk header)"},
		"signed only":    {answering(401, "go:v1", ""), "takes signed calls only: start it with INNGEST_DEV set, or with INNGEST_ENABLE_UNAUTHED_SYNC=true"},
		"a JSON error":   {answering(500, "js:v4", `{"message":"no functions"}`), "could not register its functions: it answered 500 Internal Server Error: no functions"},
		"another server": {answering(501, "", "<html>"), "answers a PUT with 501 Not Implemented, and is no Inngest SDK's handler (its answer has no X-Inngest-Sdk header)"},
		"a text":         {answering(500, "js:v4", "boom\n"), "could not register its functions: it answered 500 Internal Server Error: boom"},
		"no server":      {lost.at.URL, "could not register its functions: it answered 500 Internal Server Error: error performing registration request: "},
		"no address":     {"http://[::1", "sync: the app's address: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := api.Sync(limit(t), inngestapi.App{URL: tc.url})
			require.ErrorContains(t, err, tc.want)
		})
	}
	t.Run("another server", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second) // for registering, and one look
		defer cancel()
		_, err := api.Sync(ctx, foreign.at)
		require.ErrorContains(t, err, "sync: the app at "+foreign.at.URL+" answered, but the Inngest server at "+server.URL+
			" lists no function of it: does it serve any, and does its INNGEST_DEV name this server? It knows ")
	})
	t.Run("another server, and patience", func(t *testing.T) {
		t.Parallel()
		_, err := api.Sync(limit(t), foreign.at)
		require.ErrorContains(t, err, "known at "+strings.Replace(known.at.URL, "127.0.0.1", "localhost", 1)+" with 1 functions")
	})
}

func TestClient_ErrorsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	api := inngestapi.New(nowhere, inngestapi.Options{EventKey: "secret"})
	_, err := api.Functions(limit(t))
	require.EqualError(t, err, "list functions: the Inngest server at "+nowhere+" cannot be reached (is it running?): connection refused")
	_, err = api.Send(limit(t), harness.Event{Name: "a"})
	require.EqualError(t, err, `send event "a": the Inngest server at `+nowhere+" cannot be reached (is it running?): connection refused")
	require.NotContains(t, err.Error(), "secret")

	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	defer page.Close()
	_, err = newClient(t, page.URL).Apps(limit(t))
	require.ErrorContains(t, err, "list apps: "+page.URL+" does not answer as an Inngest server of version 1.43 does (is it one?): ")

	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	_, err = newClient(t, stranger.URL).Functions(limit(t))
	require.EqualError(t, err, "list functions: the Inngest server at "+stranger.URL+": it answered 404 Not Found: 404 page not found")

	_, err = newClient(t, "http://[::1").Apps(limit(t))
	require.ErrorContains(t, err, `the Inngest server's address "http://[::1": `)

	// A signing key goes with every question, and not with events.
	var authorized []string
	guarded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorized = append(authorized, r.URL.Path+" "+r.Header.Get("Authorization"))
		fmt.Fprint(w, `{"data":{"apps":[]},"ids":["x"],"status":200}`)
	}))
	defer guarded.Close()
	api = inngestapi.New(guarded.URL+"/", inngestapi.Options{SigningKey: "signkey-1"})
	require.Equal(t, guarded.URL, api.BaseURL())
	_, err = api.Apps(limit(t))
	require.NoError(t, err)
	_, err = api.Send(limit(t), harness.Event{Name: "a"})
	require.NoError(t, err)
	require.Equal(t, []string{"/v0/gql Bearer signkey-1", "/e/test "}, authorized)
	_ = api.Close(context.Background())
}
