package service

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app/inngest"
)

func TestReachable_IsAskedEachTime(t *testing.T) {
	t.Parallel()
	var answer atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, *answer.Load()) }))
	t.Cleanup(server.Close)
	s := &Service{}
	reachable := s.reachable(inngest.NewAPI(inngest.Options{APIURL: server.URL}), []string{"f"}, nil)
	for _, c := range []struct {
		answer    string
		reachable bool
		failed    bool
	}{
		{`[]`, false, false}, {`[{"id":"f"}]`, true, false}, {`[]`, false, false}, {`nonsense`, false, true}, {`[{"id":"f"}]`, true, false},
	} {
		answer.Store(&c.answer)
		got, err := reachable(t.Context())
		require.Equal(t, c.failed, err != nil, c.answer)
		if !c.failed {
			require.Equal(t, c.reachable, got, c.answer)
		}
	}
	s.config.InngestDev = "1"
	server.Close()
	got, err := reachable(t.Context())
	require.NoError(t, err)
	require.True(t, got, "in development")
}
