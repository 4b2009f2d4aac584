// Package nosocket asks an HTTP handler of this process without a socket.
package nosocket

import (
	"net/http"
	"net/http/httptest"
)

// Transport answers requests by a handler.
type Transport struct{ Handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		req.Body = http.NoBody
	}
	defer req.Body.Close()
	w := httptest.NewRecorder()
	t.Handler.ServeHTTP(w, req)
	res := w.Result()
	res.Request = req
	return res, nil
}
