package dashboard

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGuard_PassesOnlyRequestsOfThisMachine(t *testing.T) {
	t.Parallel()
	const (
		here   = "127.0.0.1:4000"
		origin = "http://127.0.0.1:4000"
	)
	tests := map[string]struct {
		method, from, host string
		headers            map[string]string
		refusal            string
	}{
		"a page":                       {host: here},
		"by name":                      {host: "localhost:4000"},
		"over IPv6":                    {host: "[::1]:4000", from: "[::1]:5000"},
		"an IPv4 address in IPv6":      {host: here, from: "[::ffff:127.0.0.1]:5000"},
		"a link from elsewhere":        {host: here, headers: map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}},
		"a change of its own":          {method: "POST", host: here, headers: map[string]string{"Origin": origin, "Sec-Fetch-Site": "same-origin"}},
		"another machine":              {host: here, from: "192.0.2.1:5000", refusal: "it comes from another machine."},
		"a rebound name":               {host: "evil.test:4000", refusal: "open it as localhost or 127.0.0.1."},
		"a name that begins well":      {host: "localhost.evil.test", refusal: "open it as localhost or 127.0.0.1."},
		"no name":                      {host: "", refusal: "open it as localhost or 127.0.0.1."},
		"a picture on another page":    {host: here, headers: map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, refusal: "it comes from another site's page."},
		"a frame on another page":      {host: here, headers: map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, refusal: "it comes from another site's page."},
		"a form of another page":       {method: "POST", host: here, headers: map[string]string{"Origin": "http://evil.test"}, refusal: "what changes something must come from its own pages (Origin)."},
		"a form of another port":       {method: "POST", host: here, headers: map[string]string{"Origin": "http://127.0.0.1:4001"}, refusal: "what changes something must come from its own pages (Origin)."},
		"a form of a page without one": {method: "POST", host: here, headers: map[string]string{"Origin": "null"}, refusal: "what changes something must come from its own pages (Origin)."},
		"a change without an origin":   {method: "POST", host: here, refusal: "what changes something must come from its own pages (Origin)."},
		"a change of a same-site page": {method: "POST", host: here, headers: map[string]string{"Origin": origin, "Sec-Fetch-Site": "same-site"}, refusal: "it comes from another site's page."},
		"a deletion without an origin": {method: "DELETE", host: here, refusal: "what changes something must come from its own pages (Origin)."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, from := http.MethodGet, "127.0.0.1:5000"
			if tt.method != "" {
				method = tt.method
			}
			if tt.from != "" {
				from = tt.from
			}
			r := httptest.NewRequest(method, "/", nil)
			r.Host, r.RemoteAddr = tt.host, from
			for key, value := range tt.headers {
				r.Header.Set(key, value)
			}
			w := httptest.NewRecorder()
			guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("through")) })).ServeHTTP(w, r)
			if tt.refusal == "" {
				require.Equal(t, "through", w.Body.String())
			} else {
				require.Equal(t, http.StatusForbidden, w.Code)
				require.Equal(t, "The dashboard does not answer this: "+tt.refusal+"\n", w.Body.String())
			}
			require.Equal(t, pagePolicy, w.Header().Get("Content-Security-Policy"), "a refusal is a page too")
		})
	}
}

func TestPagePolicy_AllowsNothingInline(t *testing.T) {
	t.Parallel()
	require.NotContains(t, pagePolicy, "unsafe")
	files, err := static.ReadDir("static")
	require.NoError(t, err)
	for _, f := range files {
		data, err := static.ReadFile("static/" + f.Name())
		require.NoError(t, err)
		if strings.HasSuffix(f.Name(), ".html") {
			for _, inline := range []string{" style=", "<style", " onclick=", " onload=", "<script>"} {
				require.NotContains(t, string(data), inline, f.Name())
			}
		}
		for _, html := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			require.NotContains(t, string(data), html, f.Name())
		}
	}
}
