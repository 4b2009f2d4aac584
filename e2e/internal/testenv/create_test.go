package testenv

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
)

func TestCreateOnce_AsksUntilTheAppAnswers(t *testing.T) {
	t.Parallel()
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if keys = append(keys, r.Header.Get("Idempotency-Key")); len(keys) < 3 {
			panic(http.ErrAbortHandler) // as if the app were killed
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(app.Request{ID: "made"})
	}))
	t.Cleanup(server.Close)
	r, err := CreateOnce(t.Context(), server.URL, "key", fixtures.Requests()[0])
	require.NoError(t, err)
	require.Equal(t, "made", r.ID)
	require.Equal(t, []string{"key", "key", "key"}, keys)
}

func TestCreateOnce_EndsWithAnswerAndWithContext(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such user", http.StatusBadRequest) }))
	t.Cleanup(refusing.Close)
	_, err := CreateOnce(t.Context(), refusing.URL, "key", fixtures.Requests()[0])
	require.ErrorContains(t, err, "no such user")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = CreateOnce(ctx, refusing.URL, "key", fixtures.Requests()[0])
	require.ErrorIs(t, err, context.Canceled)
}
