package inngestapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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

// without returns a server that refuses some paths, by their prefixes, and is the shared one otherwise.
func without(t *testing.T, status int, prefixes ...string) string {
	target, err := url.Parse(server.URL)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range prefixes {
			if strings.HasPrefix(r.URL.Path, p) {
				http.Error(w, "<html>", status)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestREST_TellsWhatGraphQLTells(t *testing.T) {
	t.Parallel()
	api := newClient(t, server.URL)
	a := newApp(t, "rest", server.URL+"/fn/register", false)
	release := make(chan struct{})
	a.function("text", 0, func(context.Context, input) (any, error) { return "ok", nil })
	a.function("object", 0, func(context.Context, input) (any, error) { return map[string]any{"a": 1, "b": []int{2}}, nil })
	a.function("null", 0, nothing)
	a.function("fails", 0, func(context.Context, input) (any, error) { return nil, errors.New("out of paper") })
	a.function("waits", 0, func(context.Context, input) (any, error) { <-release; return nil, nil })
	defer close(release)
	condition, period := "event.data.n == 2", 10*time.Second
	a.add(inngestgo.FunctionOpts{ID: "debounced", Debounce: &inngestgo.ConfigDebounce{Key: "event.data.n", Period: period}},
		inngestgo.EventTrigger("rest/other", &condition), nothing)
	a.synced(api)
	began := time.Now().Add(-time.Second)
	runs := map[string]inngestapi.Run{}
	for _, function := range []string{"text", "object", "null", "fails", "waits"} {
		runs[function] = a.start(api, function)
	}
	for function := range runs {
		if function != "waits" {
			a.ended(api, runs[function])
		}
	}
	for _, status := range []int{401, 403, 404, 200} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			rest := newClient(t, without(t, status, "/v0/gql"))
			require.False(t, rest.ReadsREST())
			same := func(name string, ask func(*inngestapi.Client) (any, error)) {
				t.Helper()
				eventually(t, name+" as by GraphQL", func() bool {
					want, err := ask(api)
					require.NoError(t, err, name)
					got, err := ask(rest)
					require.NoError(t, err, name)
					// /v2 tells the times of runs a little differently, and others' apps come and go.
					times := cmpopts.EquateApproxTime(time.Second)
					diff := cmp.Diff(want, got, times, cmpopts.EquateEmpty())
					if diff != "" {
						t.Log(name, diff)
					}
					return diff == ""
				})
			}
			same("functions", func(c *inngestapi.Client) (any, error) {
				all, err := c.Functions(limit(t))
				mine := map[string]inngestapi.Function{}
				for _, f := range all {
					if f.App == "rest" {
						mine[f.ID] = f
					}
				}
				return mine, err
			})
			require.True(t, rest.ReadsREST())
			same("app", func(c *inngestapi.Client) (any, error) {
				all, err := c.Apps(limit(t))
				for _, app := range all {
					if app.ID == "rest" {
						return app, err
					}
				}
				return nil, err
			})
			same("serves", func(c *inngestapi.Client) (any, error) { return c.Serves(limit(t), a.at) })
			same("events", func(c *inngestapi.Client) (any, error) {
				return c.Events(limit(t), inngestapi.EventFilter{Since: began, Names: []string{"rest/text", "rest/fails"}})
			})
			same("one name", func(c *inngestapi.Client) (any, error) {
				return c.Events(limit(t), inngestapi.EventFilter{Since: began, Until: time.Now(), Names: []string{"rest/text"}, Limit: 1})
			})
			for function, run := range runs {
				same("event of "+function, func(c *inngestapi.Client) (any, error) { return c.Event(limit(t), run.EventIDs[0]) })
				same("runs of "+function, func(c *inngestapi.Client) (any, error) { return c.EventRuns(limit(t), run.EventIDs[0]) })
				same("run of "+function, func(c *inngestapi.Client) (any, error) { return c.Run(limit(t), run.ID) })
				same("trace of "+function, func(c *inngestapi.Client) (any, error) { return c.Trace(limit(t), run.ID) })
			}
		})
	}
}

// A run that waits for its next attempt is not FAILED, though /v1 and parts of /v2 say so.
func TestREST_RunThatWaitsForItsNextAttempt(t *testing.T) {
	t.Parallel()
	api := newClient(t, without(t, 404, "/v0/gql"))
	a := newApp(t, "rest-waits", server.URL+"/fn/register", false)
	failed := make(chan struct{}, 10)
	a.function("again", 1, func(context.Context, input) (any, error) {
		failed <- struct{}{}
		return nil, inngestgo.RetryAtError(errors.New("jammed"), time.Now().Add(time.Hour))
	})
	a.synced(api)
	run := a.start(api, "again")
	<-failed
	eventually(t, "the failed attempt", func() bool {
		trace, err := api.Trace(limit(t), run.ID)
		return err == nil && len(trace.Outside) > 0 && trace.Outside[0].Status == harness.StatusFailed
	})
	now, err := api.Run(limit(t), run.ID)
	require.NoError(t, err)
	require.Equal(t, harness.StatusRunning, now.Status)
	require.Zero(t, now.Ended)
}

func TestREST_UnknownThings(t *testing.T) {
	t.Parallel()
	api := newClient(t, without(t, 404, "/v0/gql"))
	const none = "01JDD9WRP1F5G1Y9ZVC4Q4XKZS"
	_, err := api.Event(limit(t), none)
	require.ErrorIs(t, err, inngestapi.ErrNotFound)
	_, err = api.Run(limit(t), none)
	require.ErrorIs(t, err, inngestapi.ErrNotFound)
	runs, err := api.EventRuns(limit(t), none)
	require.NoError(t, err)
	require.Empty(t, runs)
	_, err = api.Defers(limit(t), none)
	require.ErrorIs(t, err, inngestapi.ErrNotShown)
	for _, status := range []int{403, 501} {
		_, err = newClient(t, without(t, status, "/v0/gql", "/v2/runs", "/api/v2/runs")).Trace(limit(t), none)
		require.ErrorIs(t, err, inngestapi.ErrNotShown)
	}
	_, err = newClient(t, without(t, 404, "/v")).Functions(limit(t))
	require.ErrorContains(t, err, "it answered 404 Not Found")
}

// What a key is missing for, or wrong, says which variable to set.
func TestREST_KeysAreAskedFor(t *testing.T) {
	t.Parallel()
	guarded := without(t, 401, "/v")
	_, err := newClient(t, guarded).Functions(limit(t))
	require.EqualError(t, err, "list functions: it needs the signing key: set INNGEST_SIGNING_KEY: the Inngest server at "+
		""+guarded+
		": it answered 401 Unauthorized: <html>")
	wrong := inngestapi.New(guarded, inngestapi.Options{SigningKey: "secret"})
	defer wrong.Close(t.Context())
	_, err = wrong.Event(limit(t), "01JDD9WRP1F5G1Y9ZVC4Q4XKZS")
	require.ErrorContains(t, err, "the server does not take the signing key in INNGEST_SIGNING_KEY")
	require.NotContains(t, err.Error(), "secret")
}
