package thishost_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/thishost"
)

func TestGuard_RefusesPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	const here = "127.0.0.1:8288"
	for name, tt := range map[string]struct {
		host    string
		headers map[string]string
		passes  bool
	}{
		"a program":                  {here, nil, true},
		"a program, by name":         {"localhost:8288", nil, true},
		"without a port":             {"LOCALHOST", nil, true},
		"over IPv6":                  {"[::1]:8288", nil, true},
		"IPv6 without a port":        {"[::1]", nil, true},
		"an address of loopback":     {"127.1.2.3:1", nil, true},
		"a page of this machine":     {here, map[string]string{"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-site"}, true},
		"a rebound name":             {"evil.test:8288", nil, false},
		"a name that begins well":    {"127.0.0.1.evil.test", nil, false},
		"localhost in a name":        {"localhost.evil.test:8288", nil, false},
		"no name":                    {"", nil, false},
		"an address of the network":  {"192.0.2.1:8288", nil, false},
		"all addresses":              {"0.0.0.0:8288", nil, false},
		"a page of another site":     {here, map[string]string{"Origin": "https://evil.test"}, false},
		"its page's sandbox":         {here, map[string]string{"Origin": "null"}, false},
		"an origin that is none":     {here, map[string]string{"Origin": "http://%"}, false},
		"an origin that looks alike": {here, map[string]string{"Origin": "http://localhost.evil.test"}, false},
		"a picture on its page":      {here, map[string]string{"Sec-Fetch-Site": "cross-site"}, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/e/key", nil)
		r.Host = tt.host
		for key, value := range tt.headers {
			r.Header.Set(key, value)
		}
		w := httptest.NewRecorder()
		thishost.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		require.Equal(t, tt.passes, w.Code == http.StatusOK, "%s: %s", name, w.Body)
		require.Equal(t, !tt.passes, w.Code == http.StatusForbidden, name)
	}
}
