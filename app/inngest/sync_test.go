package inngest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app/inngest"
)

const registered = "https://plant.example/maintenance/api/inngest"

// registrar is a server that answers every call, and keeps the registrations.
type registrar struct {
	*httptest.Server
	requests chan registration
}

type registration struct {
	path, authorization string
	URL                 string
	AppName             string
	Functions           []struct {
		ID    string
		Steps map[string]struct{ Runtime struct{ URL string } }
	}
}

func newRegistrar(t *testing.T, answer http.HandlerFunc) *registrar {
	s := &registrar{requests: make(chan registration, 10)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := registration{path: r.URL.Path, authorization: r.Header.Get("Authorization")}
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &got)
		s.requests <- got
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// accepting answers without a body: the SDK does not close that of a registration.
func accepting(http.ResponseWriter, *http.Request) {}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestNewClient_NeedsItsOwnURLInProduction(t *testing.T) {
	t.Parallel()
	o := options("http://127.0.0.1:1")
	o.ServeURL = nil
	_, _, err := inngest.NewClient(t.Context(), o)
	require.EqualError(t, err, "configure the Inngest client: the app's own URL is missing")
	client, _ := production(t, "http://127.0.0.1:1")
	require.ErrorContains(t, inngest.Register(t.Context(), client, o), "the app's own URL is missing")
}

// A stranger who reaches the handler could otherwise have the calls, and with them the data of events, sent to another address.
// The SDK reads the variable itself, so this test cannot run in parallel.
func TestHandler_RegistersNoAddressOfAHostHeader(t *testing.T) {
	t.Setenv("INNGEST_ENABLE_UNAUTHED_SYNC", "true")
	t.Setenv("INNGEST_SERVE_HOST", "http://foreign.example")
	t.Setenv("INNGEST_SERVE_PATH", "/foreign")
	server := newRegistrar(t, accepting)
	_, handler := production(t, server.URL)
	put := func(body, signature string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPut, "/api/inngest", strings.NewReader(body))
		r.Host = "foreign.example"
		r.Header.Set("X-Forwarded-Host", "foreign.example")
		if signature != "" {
			r.Header.Set("X-Inngest-Signature", signature)
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		return answer
	}
	require.Equal(t, http.StatusUnauthorized, put("", "").Code, "unsigned")

	body := `{"url":"http://foreign.example/api/inngest"}`
	signature, err := inngestgo.Sign(t.Context(), time.Now(), []byte(key), []byte(body))
	require.NoError(t, err)
	answer := put(body, signature)
	require.Equal(t, http.StatusOK, answer.Code, answer.Body)
	var inBand registration
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &inBand))
	require.Equal(t, registered, inBand.URL)
	require.NotContains(t, answer.Body.String(), "foreign")
	require.Empty(t, server.requests, "a registration was sent to the server")
}

func TestHandler_RegistersConfiguredAddressInDev(t *testing.T) {
	t.Parallel()
	server := newRegistrar(t, accepting)
	o := options(server.URL)
	for _, c := range []struct {
		configured bool
		want       string
	}{{true, registered}, {false, "http://found.example/api/inngest"}} {
		o.Dev = true
		if !c.configured {
			o.ServeURL = nil
		}
		_, handler, err := inngest.NewClient(t.Context(), o)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPut, "/api/inngest", http.NoBody)
		r.Host = "found.example"
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		require.Equal(t, http.StatusOK, answer.Code, answer.Body)
		require.Equal(t, c.want, strings.TrimSuffix((<-server.requests).URL, "?"))
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	server := newRegistrar(t, accepting)
	client, _ := production(t, server.URL)
	require.NoError(t, inngest.Register(t.Context(), client, options(server.URL)))
	got := <-server.requests
	require.Equal(t, "/fn/register", got.path)
	require.True(t, strings.HasPrefix(got.authorization, "Bearer signkey-test-"), got.authorization)
	require.NotContains(t, got.authorization, strings.TrimPrefix(key, "signkey-test-"), "the SDK sends the key's hash")
	require.Equal(t, registered, got.URL)
	require.Equal(t, inngest.AppID, got.AppName)
	require.Equal(t, inngest.AppID+"-f", got.Functions[0].ID)
	require.Equal(t, registered+"?fnId="+inngest.AppID+"-f&step=step", got.Functions[0].Steps["step"].Runtime.URL)
}

func TestRegister_ReportsRefusals(t *testing.T) {
	t.Parallel()
	for want, answer := range map[string]http.HandlerFunc{
		"At least one function is invalid": answering(http.StatusBadRequest, `{"error":"At least one function is invalid"}`),
		"Authentication failed":            answering(http.StatusUnauthorized, "Authentication failed"),
	} {
		server := newRegistrar(t, answer)
		client, _ := production(t, server.URL)
		require.ErrorContains(t, inngest.Register(t.Context(), client, options(server.URL)), want)
	}
}

func TestRegister_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	server := newRegistrar(t, func(http.ResponseWriter, *http.Request) {
		cancel()
		<-release
	})
	client, _ := production(t, server.URL)
	require.ErrorContains(t, inngest.Register(ctx, client, options(server.URL)), "does not answer: context canceled")
	close(release)
}

func TestAPI(t *testing.T) {
	t.Parallel()
	server := newRegistrar(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/apps/" + inngest.AppID + "/functions":
			answering(http.StatusOK, `[{"id":"a-f","name":"F"},{"id":"a-g"}]`)(w, r)
		case "/v1/events/01K/runs":
			answering(http.StatusOK, `{"data":[{"run_id":"01R"}]}`)(w, r)
		case "/v1/events/01L/runs":
			answering(http.StatusOK, `{"data":[]}`)(w, r)
		default:
			answering(http.StatusBadRequest, `{"data":[]}`)(w, r)
		}
	})
	api := inngest.NewAPI(options(server.URL + "/"))
	functions, err := api.Functions(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a-f", "a-g"}, functions)
	require.Equal(t, "Bearer "+key, (<-server.requests).authorization)
	has, err := api.HasRun(t.Context(), "01K")
	require.NoError(t, err)
	require.True(t, has)
	has, err = api.HasRun(t.Context(), "01L")
	require.NoError(t, err)
	require.False(t, has)
	_, err = api.HasRun(t.Context(), "../x")
	require.EqualError(t, err, "ask for the runs of event ../x: "+server.URL+"/v1/events/..%2Fx/runs answers 400 Bad Request")
}

func TestAPI_UsesPreviousKeyWhileKeysAreRotated(t *testing.T) {
	t.Parallel()
	server := newRegistrar(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+previous {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "[]")
	})
	o := options(server.URL)
	functions, err := inngest.NewAPI(o).Functions(t.Context())
	require.NoError(t, err)
	require.Empty(t, functions)
	o.SigningKeyFallback = ""
	_, err = inngest.NewAPI(o).Functions(t.Context())
	require.ErrorContains(t, err, "answers 401 Unauthorized")
	require.NotContains(t, err.Error(), "0123456789abcdef")
}

func TestAPI_OfTheDevServerNeedsNoKey(t *testing.T) {
	t.Parallel()
	server := newRegistrar(t, answering(http.StatusOK, "[]"))
	_, err := inngest.NewAPI(inngest.Options{Dev: true, APIURL: server.URL}).Functions(t.Context())
	require.NoError(t, err)
	require.Empty(t, (<-server.requests).authorization)
	_, err = inngest.NewAPI(inngest.Options{Dev: true, APIURL: "http://127.0.0.1:1"}).Functions(t.Context())
	require.ErrorContains(t, err, "refused")
}
