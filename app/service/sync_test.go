package service_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app/inngest"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
	"github.com/odoo-maintenance/inngest-harness/app/service"
)

const functionID = inngest.AppID + "-" + functions.SendRequestNotificationID

// lister is a server that takes a registration with status. It lists the functions of after once the app is registered,
// and those of before until then.
type lister struct {
	*httptest.Server
	registered atomic.Bool
	before     atomic.Pointer[string]
	after      string
	status     int
}

func newLister(t *testing.T, status int, after string) *lister {
	s := &lister{after: after, status: status}
	none := "[]"
	s.before.Store(&none)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") == "":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/fn/register":
			s.registered.Store(true)
			w.WriteHeader(s.status)
			if s.status != http.StatusOK {
				_, _ = io.WriteString(w, `{"error":"App ID required"}`)
			}
		case s.registered.Load():
			_, _ = io.WriteString(w, s.after)
		default:
			_, _ = io.WriteString(w, *s.before.Load())
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestSync(t *testing.T) {
	const listed = `[{"id":"` + functionID + `"}]`
	for name, c := range map[string]struct {
		status  int
		after   string
		environ map[string]string
		code    int
		want    string
	}{
		"registered": {200, listed, nil, 0,
			"registered odoo-maintenance at https://plant.example/api/inngest\nfunctions that Inngest at <server> lists: 1 now (" + functionID + "), 0 before\n"},
		"reached elsewhere": {200, listed, map[string]string{"SERVE_URL": "http://app:3000"}, 0,
			"registered odoo-maintenance at http://app:3000/api/inngest\n"},
		"in development": {200, listed, map[string]string{"INNGEST_DEV": "<server>", "APP_URL": "", "PORT": "4000"}, 0,
			"registered odoo-maintenance at http://localhost:4000/api/inngest\n"},
		"refused":    {400, listed, nil, 1, "app: the server at <server> did not register the app: error registering functions: App ID required"},
		"not listed": {200, `[{"id":"other"}]`, nil, 1, "app: the server at <server> took the registration, but does not list " + functionID},
		"no list":    {200, `oops`, nil, 1, "app: the server took the registration, but does not say what it lists now: "},
		"nowhere": {200, listed, map[string]string{"INNGEST_BASE_URL": "http://127.0.0.1:1"}, 1,
			"app: nothing was registered (are the server's URL and INNGEST_SIGNING_KEY right?): "},
		"connected": {200, listed, map[string]string{"INNGEST_CONNECT": "1", "APP_URL": ""}, 0,
			"nothing to do: INNGEST_CONNECT is set, so every instance registers the functions when it connects to Inngest\n"},
		"reached elsewhere, without a public address": {200, listed, map[string]string{"SERVE_URL": "http://app:3000", "APP_URL": ""}, 0,
			"registered odoo-maintenance at http://app:3000/api/inngest\n"},
		"without an address": {200, listed, map[string]string{"APP_URL": ""}, 1, "\n  APP_URL: is required\n"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newLister(t, c.status, c.after)
			environ := map[string]string{"INNGEST_BASE_URL": server.URL, "INNGEST_SIGNING_KEY": signingKey, "APP_URL": "https://plant.example"}
			for variable, value := range c.environ {
				environ[variable] = strings.ReplaceAll(value, "<server>", server.URL)
			}
			code, stdout, stderr := command(t, environ, "sync")
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stdout+stderr, strings.ReplaceAll(c.want, "<server>", server.URL))
			require.NotContains(t, stdout+stderr, "0123456789abcdef", "the signing key")
		})
	}
}

func TestService_IsReadyOnceInngestListsItsFunctions(t *testing.T) {
	t.Parallel()
	server := newLister(t, http.StatusOK, `[{"id":"`+functionID+`"}]`)
	s, err := service.New(t.Context(), configure(t, inProduction(server.URL)), service.Deps{Store: memory(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.WithoutCancel(t.Context()))) })
	ready := func() (int, string) {
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return answer.Code, answer.Body.String()
	}
	status, said := ready()
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "not registered: Inngest does not list "+functionID+"; run app sync\n", said)
	nonsense := "nonsense"
	server.before.Store(&nonsense)
	status, _ = ready()
	require.Equal(t, http.StatusOK, status, "requests are accepted while Inngest cannot be asked")

	server.registered.Store(true)
	status, said = ready()
	require.Equal(t, http.StatusOK, status, said)
	server.registered.Store(false)
	none := "[]"
	server.before.Store(&none)
	status, _ = ready()
	require.Equal(t, http.StatusOK, status, "a process that was ready accepts requests whatever becomes of Inngest")
}

func TestService_ThatConnectsServesNoCallsAndIsNotReadyUntilItIsConnected(t *testing.T) {
	t.Parallel()
	environ := inProduction("http://127.0.0.1:1")
	environ["INNGEST_CONNECT"] = "1"
	s, err := service.New(t.Context(), configure(t, environ), service.Deps{Store: memory(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.WithoutCancel(t.Context()))) })
	for method, path := range map[string]string{http.MethodPut: "/api/inngest", http.MethodPost: "/api/inngest?fnId=" + functionID, http.MethodGet: "/api/inngest"} {
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, httptest.NewRequest(method, path, http.NoBody))
		require.Equal(t, http.StatusNotFound, answer.Code, method)
	}
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	require.Equal(t, "not connected: there is no connection to Inngest; the log says why\n", answer.Body.String())
}
