package inngest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/inngest"
)

// The SDK waits five seconds for the acknowledgement of an answer, whatever becomes of the connection.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/inngest/inngestgo/connect.(*messageBuffer).addPending.func1"))
}

const (
	key      = "signkey-test-0123456789abcdef"
	previous = "signkey-test-fedcba9876543210"
)

// options are those of production, with the server at a URL.
func options(server string) inngest.Options {
	return inngest.Options{
		ServeURL: &url.URL{Scheme: "https", Host: "plant.example", Path: "/maintenance"},
		EventURL: server + "/", APIURL: server, EventKey: "event-key", SigningKey: key, SigningKeyFallback: previous,
	}
}

func production(t *testing.T, server string) (inngestgo.Client, http.Handler) {
	client, handler, err := inngest.NewClient(t.Context(), options(server))
	require.NoError(t, err)
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "f"}, inngestgo.EventTrigger("e", nil),
		func(context.Context, inngestgo.Input[map[string]any]) (any, error) { return "done", nil })
	require.NoError(t, err)
	return client, handler
}

func TestHandler_RejectsUnsignedCallsInProduction(t *testing.T) {
	t.Parallel()
	_, handler := production(t, "http://127.0.0.1:1")
	body := []byte(`{"event":{"name":"e","data":{}},"events":[],"steps":{},"ctx":{"fn_id":"7e8f9a00-0000-4000-8000-000000000001"}}`)
	sign := func(key string, body []byte, at time.Time) string {
		signature, err := inngestgo.Sign(t.Context(), at, []byte(key), body)
		require.NoError(t, err)
		return signature
	}
	now := time.Now()

	for name, c := range map[string]struct {
		method, signature string
		want              int
	}{
		"call, signed":                     {http.MethodPost, sign(key, body, now), http.StatusOK},
		"call, signed by the previous key": {http.MethodPost, sign(previous, body, now), http.StatusOK},
		"call, unsigned":                   {http.MethodPost, "", http.StatusUnauthorized},
		"call, signed by another key":      {http.MethodPost, sign("signkey-test-00", body, now), http.StatusUnauthorized},
		"call, signed for another body":    {http.MethodPost, sign(key, []byte("{}"), now), http.StatusUnauthorized},
		"call, signed long ago":            {http.MethodPost, sign(key, body, now.Add(-time.Hour)), http.StatusUnauthorized},
		"call, not a signature":            {http.MethodPost, "t=1&s=1", http.StatusUnauthorized},
		"registration, unsigned":           {http.MethodPut, "", http.StatusUnauthorized},
		"inspection, unsigned":             {http.MethodGet, "", http.StatusUnauthorized},
	} {
		r := httptest.NewRequest(c.method, "/api/inngest?fnId="+inngest.AppID+"-f&stepId=step", bytes.NewReader(body))
		if c.signature != "" {
			r.Header.Set("X-Inngest-Signature", c.signature)
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		require.Equal(t, c.want, answer.Code, "%s: %s", name, answer.Body)
	}
}

func TestHandler_AcceptsUnsignedCallsInDev(t *testing.T) {
	t.Parallel()
	_, handler, err := inngest.NewClient(t.Context(), inngest.Options{Dev: true})
	require.NoError(t, err)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/inngest", nil))
	require.Equal(t, http.StatusOK, answer.Code)
}

func TestClient_SendsEventsToEventURL(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + string(body)
		_, _ = io.WriteString(w, `{"ids":["01K"],"status":200}`)
	}))
	t.Cleanup(server.Close)
	client, _ := production(t, server.URL)
	id, err := client.Send(t.Context(), app.Event{IdempotencyKey: "r-1", Name: "e", Data: app.RequestCreated{RequestID: "r"}})
	require.NoError(t, err)
	require.Equal(t, "01K", id)
	sent := <-got
	require.True(t, strings.HasPrefix(sent, "/e/event-key "), sent)
	require.Contains(t, sent, `[{"id":"r-1","name":"e","data":{"requestId":"r",`)
}

func TestHandler_RunsAllStepsInOneCall(t *testing.T) {
	t.Parallel()
	checkpoints := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		checkpoints <- r.URL.Path
	}))
	t.Cleanup(server.Close)
	client, handler, err := inngest.NewClient(t.Context(), inngest.Options{Dev: true, EventURL: server.URL, APIURL: server.URL})
	require.NoError(t, err)
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "f"}, inngestgo.EventTrigger("e", nil),
		func(ctx context.Context, _ inngestgo.Input[map[string]any]) (any, error) {
			for _, id := range []string{"one", "two"} {
				if _, err := step.Run(ctx, id, func(context.Context) (string, error) { return id, nil }); err != nil {
					return nil, err
				}
			}
			return "done", nil
		})
	require.NoError(t, err)
	body := `{"event":{"name":"e","data":{}},"events":[],"steps":{},"ctx":{"fn_id":"7e8f9a00-0000-4000-8000-000000000001",
		"run_id":"01RUN","qi_id":"q","stack":{"stack":[],"current":0}}}`
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, inngest.Path+"?fnId="+inngest.AppID+"-f&stepId=step", strings.NewReader(body)))
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	require.JSONEq(t, `"done"`, answer.Body.String())
	close(checkpoints)
	for range 2 {
		require.Equal(t, "/v1/checkpoint/01RUN/async", <-checkpoints)
	}
	require.Empty(t, <-checkpoints, "more than one checkpoint per step")
}

func TestClient_StopEndsStalledSend(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a closed connection only after reading the body
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	client, _, err := inngest.NewClient(ctx, inngest.Options{Dev: true, EventURL: server.URL, APIURL: server.URL})
	require.NoError(t, err)

	sent := make(chan error, 1)
	go func() {
		_, err := client.Send(ctx, app.Event{IdempotencyKey: "1", Name: "e"})
		sent <- err
	}()
	<-arrived
	stop()
	select {
	case err := <-sent:
		require.ErrorContains(t, err, "499")
	case <-time.After(time.Minute):
		t.Fatal("the send continued after the stop")
	}
	_, err = client.Send(ctx, app.Event{IdempotencyKey: "2", Name: "e"})
	require.ErrorContains(t, err, "499")
	require.Empty(t, arrived, "an event was sent after the stop")
}
