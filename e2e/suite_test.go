package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
)

// notify is the function under test, as expectations name it.
const notify = "send-request-notification"

var suite = harnesstest.New(harnesstest.Options{
	Backends: testenv.Backends(),
	Default:  []string{"local", "sim"},
	Handler:  testenv.App,
	Golden:   "../fixtures/golden",
})

func TestMain(m *testing.M) {
	testenv.RunProgram()
	os.Exit(suite.Main(m))
}

// env is a test with its own plant and store.
type env struct {
	*harnesstest.T
	plant fixtures.Plant
	store app.Store
}

// newEnv seeds a copy of the plant in which every id and address belongs to this test.
func newEnv(t *harnesstest.T, plant fixtures.Plant) *env {
	t.Helper()
	plant = plant.Clone(t.Salt())
	store, err := testenv.Seed(t.Context(), t.Env().MongoURI, plant)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close(context.WithoutCancel(t.Context())) })
	return &env{T: t, plant: plant, store: store}
}

// answer is an answer of the API.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *env) post(path string, body []byte) answer {
	s.Helper()
	return s.do(http.MethodPost, path, body)
}

// do makes a call with further headers: names and values in turn.
func (s *env) do(method, path string, body []byte, header ...string) answer {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, s.Env().AppURL+path, bytes.NewReader(body))
	require.NoError(s, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(s, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(s, err)
	return answer{res.StatusCode, res.Header, data}
}

// create posts a request that the API accepts and returns it as stored.
func (s *env) create(r fixtures.Request) app.Request {
	s.Helper()
	a := s.post("/api/requests", r.Body)
	require.Equal(s, http.StatusCreated, a.status, "%s", a.body)
	var created app.Request
	require.NoError(s, json.Unmarshal(a.body, &created))
	return created
}

// storeUndispatched stores a request whose event the test sends.
func (s *env) storeUndispatched(f fixtures.Request) app.Request {
	s.Helper()
	r, err := testenv.StoreUndispatched(s.Context(), s.store, f)
	require.NoError(s, err)
	return r
}

// deleteUser removes a user from the database, which the API cannot do.
func (s *env) deleteUser(id string) {
	s.Helper()
	oid, err := bson.ObjectIDFromHex(id)
	require.NoError(s, err)
	client, err := mongo.Connect(options.Client().ApplyURI(s.Env().MongoURI))
	require.NoError(s, err)
	defer client.Disconnect(context.WithoutCancel(s.Context()))
	uri, err := url.Parse(s.Env().MongoURI)
	require.NoError(s, err)
	res, err := client.Database(uri.Path[1:]).Collection("users").DeleteOne(s.Context(), bson.D{{Key: "_id", Value: oid}})
	require.NoError(s, err)
	require.EqualValues(s, 1, res.DeletedCount)
}

// dispatched waits until the app has sent the event of a request's generation and returns the server's id for it.
func (s *env) dispatched(request app.Request, generation int) string {
	s.Helper()
	id, err := s.Stack.AwaitEvent(s.Context(), app.IdempotencyKey(request.ID, generation))
	require.NoError(s, err)
	return id
}

// stored reads a request back through the API.
func (s *env) stored(id string) app.Request {
	s.Helper()
	a := s.do(http.MethodGet, "/api/requests/"+id, nil)
	require.Equal(s, http.StatusOK, a.status, "%s", a.body)
	var r app.Request
	require.NoError(s, json.Unmarshal(a.body, &r))
	return r
}

func (s *env) technician(id string) fixtures.User {
	s.Helper()
	u, ok := s.plant.User(id)
	require.True(s, ok, "the plant has no user %s", id)
	return u
}

// normalise replaces what differs in this test's emails from one run to the next.
func (s *env) normalise(r app.Request) []golden.Replacement {
	return []golden.Replacement{
		{Old: r.ID, New: "{{request-id}}"},
		{Old: s.Env().AppURL, New: "{{app-url}}"},
		{Pattern: regexp.MustCompile(`\+[a-z0-9]+@plant\.test`), New: "@plant.test"},
	}
}
