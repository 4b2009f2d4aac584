package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/sim"
)

func answer(t *testing.T, h http.Handler, method, path string) (status int, contentType, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w.Code, w.Header().Get("Content-Type"), w.Body.String()
}

func TestPage_AnswersItsOwnPathsOnly(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"_shell.html":        {Data: []byte("<title>Inngest Server</title>")},
		"assets/index.js":    {Data: []byte("start()")},
		"images/nothing.png": {Data: []byte("\x89PNG")},
	}
	require.True(t, sim.Options{Page: files}.HasPage())
	paged := sim.New(sim.Options{Page: files}).Handler()
	for _, path := range []string{"/", "/runs", "/runs/", "/run?runID=01", "/events", "/functions", "/apps", "/functions/config", "/_shell.html"} {
		status, kind, body := answer(t, paged, http.MethodGet, path)
		require.Equal(t, http.StatusOK, status, path)
		require.Equal(t, "text/html; charset=utf-8", kind, path)
		require.Equal(t, "<title>Inngest Server</title>", body, path)
	}
	status, kind, body := answer(t, paged, http.MethodGet, "/assets/index.js")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "text/javascript; charset=utf-8", kind)
	require.Equal(t, "start()", body)
	status, _, body = answer(t, paged, http.MethodHead, "/runs")
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, body)

	// All else is as without a page, also while that is not there yet.
	plain := sim.New(sim.Options{}).Handler()
	require.False(t, sim.Options{}.HasPage())
	require.False(t, sim.Options{Page: fstest.MapFS{}}.HasPage())
	yet := sim.New(sim.Options{Page: fstest.MapFS{}}).Handler()
	for _, request := range [][2]string{
		{http.MethodGet, "/health"}, {http.MethodGet, "/nothing"}, {http.MethodGet, "/v1/nothing"}, {http.MethodGet, "/v2/nothing"}, {http.MethodGet, "/e/key"},
		{http.MethodGet, "/assets"}, {http.MethodGet, "/assets/"}, {http.MethodGet, "/assets/other.js"}, {http.MethodGet, "/runs/01"}, {http.MethodGet, "/mcp"},
		{http.MethodGet, "//assets/index.js"}, {http.MethodGet, "/fn/register"}, {http.MethodGet, "/test/reset"},
		{http.MethodPost, "/"}, {http.MethodPost, "/runs"}, {http.MethodPost, "/nothing"}, {http.MethodPut, "/assets/index.js"}, {http.MethodDelete, "/dev"},
	} {
		wantStatus, wantKind, wantBody := answer(t, plain, request[0], request[1])
		status, kind, body := answer(t, paged, request[0], request[1])
		require.Equal(t, []any{wantStatus, wantKind, wantBody}, []any{status, kind, body}, "%s %s", request[0], request[1])
	}
	for _, path := range []string{"/", "/runs", "/assets/index.js"} {
		for _, h := range []http.Handler{plain, yet} {
			status, _, _ := answer(t, h, http.MethodGet, path)
			require.Equal(t, http.StatusNotFound, status, path)
		}
	}

	// A person who is too early is told so, and sees the page once it is there.
	for _, path := range []string{"/", "/runs", "/run?runID=01"} {
		_, kind, body := answer(t, yet, http.MethodGet, path)
		require.Equal(t, "text/html; charset=utf-8", kind, path)
		require.Contains(t, body, "Inngest’s page is not built yet", path)
		require.Contains(t, body, `http-equiv="refresh"`, path)
	}
	_, _, body = answer(t, yet, http.MethodGet, "/assets/index.js")
	require.NotContains(t, body, "Inngest’s page")
}
