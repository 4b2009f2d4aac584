package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/httpapi"
)

const idempotencyKey = "Idempotency-Key"

func (f *fixture) stored() []app.Request {
	all, err := f.store.Memory.Requests(context.Background(), "", "", 100)
	require.NoError(f, err)
	return all
}

func requireSame(t *testing.T, first, again *httptest.ResponseRecorder) {
	t.Helper()
	require.Equal(t, http.StatusCreated, first.Code, first.Body)
	require.Equal(t, first.Code, again.Code, again.Body)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, first.Header(), again.Header())
}

func TestCreate_SameKeySameAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k 1")
	r := f.stored()[0]
	_, _, err := app.Update(t.Context(), f.store, r, func(n app.Notification) (app.Notification, bool) { return n.Accept(time.Now()) })
	require.NoError(t, err)
	f.store.DeleteUser(technicianID)
	requireSame(t, first, f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k 1"))
	require.Len(t, f.stored(), 1)
	require.Equal(t, app.Sent, f.stored()[0].Notification.State, "the retry changed the request")
	require.Len(t, f.offered, 1)

	for _, other := range []string{body(map[string]any{"subject": "Belt worn"}), body(nil) + " ", "{"} {
		require.Equal(t, "This Idempotency-Key came with another body before; use a new key for each request.",
			requireProblem(t, f.do(http.MethodPost, "/api/requests", other, idempotencyKey, "k 1"), http.StatusUnprocessableEntity).Detail)
	}
	require.Len(t, f.stored(), 1)
}

func TestCreate_OtherKeyOrNoneCreatesAnotherRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, header := range [][]string{{idempotencyKey, "k"}, {idempotencyKey, "K"}, nil, nil} {
		require.Equal(t, http.StatusCreated, f.do(http.MethodPost, "/api/requests", body(nil), header...).Code)
		require.Len(t, f.stored(), i+1)
	}
}

func TestCreate_RefusedCallUsesUpNoKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.Equal(t, http.StatusBadRequest, f.do(http.MethodPost, "/api/requests", body(map[string]any{"type": "x"}), idempotencyKey, "k").Code)
	require.Equal(t, http.StatusCreated, f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k").Code)
}

func TestCreate_KeyLastsADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		first := f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k")
		<-time.After(24*time.Hour - time.Millisecond)
		requireSame(t, first, f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k"))
		<-time.After(2 * time.Millisecond)
		require.Equal(t, http.StatusCreated, f.do(http.MethodPost, "/api/requests", body(map[string]any{"subject": "Belt worn"}), idempotencyKey, "k").Code)
		require.Len(t, f.stored(), 2)
	})
}

// A process that dies between the two writes leaves a key without its request. The retry stores it.
func TestCreate_RetryStoresRequestOfDeadProcess(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dead := &losingStore{store: f.store}
	dying := newFixture(t, func(o *httpapi.Options) { o.Store = dead })
	require.Equal(t, http.StatusServiceUnavailable, dying.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k").Code)
	require.Empty(t, f.stored())
	answer := f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k")
	require.Equal(t, http.StatusCreated, answer.Code)
	var r app.Request
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &r))
	require.Equal(t, dead.id, r.ID)
	require.Len(t, f.offered, 1)
	requireSame(t, answer, f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k"))
}

// losingStore stores no request.
type losingStore struct {
	*store
	id string
}

func (s *losingStore) CreateRequest(_ context.Context, r app.Request) error {
	s.id = r.ID
	return fmt.Errorf("insert: %w", app.ErrUnavailable)
}

func TestCreate_ConcurrentCallsWithAKeyCreateOneRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const calls = 20
	answers := make([]*httptest.ResponseRecorder, calls)
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() { answers[i] = f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k") })
	}
	wg.Wait()
	for _, answer := range answers {
		requireSame(t, answers[0], answer)
	}
	require.Len(t, f.stored(), 1)
	require.Len(t, f.offered, 1)
}

// blindStore does not see reservations that exist, until it has refused one: as if the other call came in between.
type blindStore struct {
	*store
	seeing bool
}

func (s *blindStore) Reservation(ctx context.Context, key string) (app.Reservation, error) {
	if !s.seeing {
		return app.Reservation{}, app.ErrNotFound
	}
	return s.store.Reservation(ctx, key)
}

func (s *blindStore) Reserve(ctx context.Context, r app.Reservation, expired time.Time) error {
	s.seeing = true
	return s.store.Reserve(ctx, r, expired)
}

func TestCreate_SlowerOfTwoCallsWithAKeyAnswersAsTheFaster(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	slow := func(body string) *httptest.ResponseRecorder {
		return newFixture(t, func(o *httpapi.Options) { o.Store = &blindStore{store: f.store} }).
			do(http.MethodPost, "/api/requests", body, idempotencyKey, "k")
	}
	fast := f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, "k")
	requireSame(t, fast, slow(body(nil)))
	requireProblem(t, slow(body(map[string]any{"subject": "Belt worn"})), http.StatusUnprocessableEntity)
	require.Len(t, f.stored(), 1)
}

func TestCreate_RejectsMalformedKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, value := range []string{"", strings.Repeat("k", 256), "ключ", "a\tb"} {
		p := requireProblem(t, f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, value), http.StatusBadRequest)
		require.Equal(t, "The Idempotency-Key must have 1 to 255 printable ASCII characters.", p.Detail, value)
	}
	require.Equal(t, http.StatusCreated, f.do(http.MethodPost, "/api/requests", body(nil), idempotencyKey, strings.Repeat("k", 255)).Code)
	require.Len(t, f.stored(), 1)
}
