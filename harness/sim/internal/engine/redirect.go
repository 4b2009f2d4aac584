package engine

import (
	"net/http"
	"net/http/httptest"
)

// within is a transport to a handler in this process, which has answered the first request.
type within struct {
	handler http.Handler
	first   *httptest.ResponseRecorder
}

// RoundTrip implements [http.RoundTripper].
func (w *within) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := w.first
	if w.first = nil; rec == nil {
		rec = httptest.NewRecorder()
		w.handler.ServeHTTP(rec, req)
	}
	return rec.Result(), nil
}
