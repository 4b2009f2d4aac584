package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/httpapi"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
)

const (
	technicianID = "65f000000000000000000a01"
	mutedID      = "65f000000000000000000a02"
	requesterID  = "65f000000000000000000b01"
	equipmentID  = "65f000000000000000000e01"
	token        = "0123456789abcdef"
)

var pace = app.Pace{DispatchLease: 10 * time.Second, RedispatchAfter: time.Minute, ConfirmAfter: 20 * time.Second, SendLease: time.Minute}

type fixture struct {
	*testing.T
	store   *store
	links   app.Links
	log     bytes.Buffer
	handler http.Handler

	mu      sync.Mutex
	offered []app.Request
}

// store fails while err is set.
type store struct {
	*storetest.Memory
	err error
}

func (s *store) Request(ctx context.Context, id string) (app.Request, error) {
	if s.err != nil {
		return app.Request{}, s.err
	}
	return s.Memory.Request(ctx, id)
}

func (s *store) User(ctx context.Context, id string) (app.User, error) {
	if s.err != nil {
		return app.User{}, s.err
	}
	return s.Memory.User(ctx, id)
}

func (s *store) Requests(ctx context.Context, state app.State, after string, limit int) ([]app.Request, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.Memory.Requests(ctx, state, after, limit)
}

func (s *store) Reservation(ctx context.Context, key string) (app.Reservation, error) {
	if s.err != nil {
		return app.Reservation{}, s.err
	}
	return s.Memory.Reservation(ctx, key)
}

func (s *store) Ping(context.Context) error { return s.err }

func newFixture(t testing.TB, change ...func(*httpapi.Options)) *fixture {
	f := &fixture{store: &store{Memory: storetest.NewMemory()}}
	require.NoError(t, f.store.PutWorld(t.Context(), app.World{
		Users: []app.User{
			{ID: technicianID, Name: "Kim Larsen", Email: "kim@plant.test", Role: "technician"},
			{ID: mutedID, Name: "Noor", Role: "technician"},
			{ID: requesterID, Name: "Lee <b>Park</b>", Role: "requester"},
		},
		Equipment: []app.Equipment{{ID: equipmentID, Name: "Press 4", Location: "Hall 2"}},
	}))
	base, err := url.Parse("https://plant.example")
	require.NoError(t, err)
	f.links, err = app.NewLinks(base, "", token)
	require.NoError(t, err)
	o := httpapi.Options{
		Store: f.store,
		Offer: func(r app.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.offered = append(f.offered, r)
		},
		MessageID: func(id string) string { return "<" + id + "@plant.example>" },
		Inngest:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("inngest " + r.Method)) }),
		Links:     f.links, Pace: pace, TimeZone: time.UTC, OpenPages: true,
		Logger: slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	f.handler = httpapi.New(o)
	if t, ok := t.(*testing.T); ok {
		f.T = t
	}
	return f
}

func asInProduction(o *httpapi.Options) { o.Tokens, o.OpenPages = []string{token}, false }

func (f *fixture) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if method == http.MethodPost && body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	f.handler.ServeHTTP(answer, r)
	return answer
}

func body(change map[string]any) string {
	fields := map[string]any{
		"subject": "Belt torn", "type": "corrective",
		"equipmentId": equipmentID, "technicianId": technicianID, "requestedById": requesterID,
	}
	for name, value := range change {
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	}
	text, _ := json.Marshal(fields)
	return string(text)
}

func (f *fixture) create(change map[string]any) app.Request {
	answer := f.do(http.MethodPost, "/api/requests", body(change))
	require.Equal(f, http.StatusCreated, answer.Code, answer.Body)
	var r app.Request
	require.NoError(f, json.Unmarshal(answer.Body.Bytes(), &r))
	return r
}

func TestCreate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	answer := f.do(http.MethodPost, "/api/requests", body(map[string]any{
		"priority": "high", "description": "Since <Tuesday>.", "scheduledFor": "2026-03-04T07:06:07+02:00",
	}))
	require.Equal(t, http.StatusCreated, answer.Code)
	require.Equal(t, "application/json", answer.Header().Get("Content-Type"))

	var got map[string]any
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &got))
	id := got["id"].(string)
	require.True(t, app.ValidID(id))
	require.Equal(t, "/api/requests/"+id, answer.Header().Get("Location"))
	delete(got, "createdAt")
	delete(got["notification"].(map[string]any), "nextDispatchAt")
	require.Equal(t, map[string]any{
		"id": id, "subject": "Belt torn", "type": "corrective", "priority": "high", "description": "Since <Tuesday>.",
		"equipmentId": equipmentID, "technicianId": technicianID, "requestedById": requesterID,
		"scheduledFor": "2026-03-04T05:06:07Z",
		"notification": map[string]any{
			"state": "pending", "generation": 1.0, "messageId": "<" + id + "@plant.example>", "attempts": 0.0,
		},
	}, got)

	stored, err := f.store.Request(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []app.Request{stored}, f.offered, "offered to the dispatcher")
	shown := f.do(http.MethodGet, "/api/requests/"+id, "")
	require.Equal(t, http.StatusOK, shown.Code)
	require.JSONEq(t, answer.Body.String(), shown.Body.String())
}

type problem struct {
	Type, Title, Detail string
	Status              int
	Errors              map[string]string
}

func requireProblem(t testing.TB, answer *httptest.ResponseRecorder, status int) problem {
	t.Helper()
	require.Equal(t, status, answer.Code, answer.Body)
	require.Equal(t, "application/problem+json", answer.Header().Get("Content-Type"))
	var p problem
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &p))
	require.Equal(t, status, p.Status)
	require.Equal(t, http.StatusText(status), p.Title)
	require.Equal(t, "about:blank", p.Type)
	require.NotEmpty(t, p.Detail)
	return p
}

func TestCreate_RejectsInvalidInputWithMessagePerField(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	unknown := "65f0000000000000000000ff"
	for name, c := range map[string]struct {
		body string
		want map[string]string
	}{
		"all fields at once": {body(map[string]any{
			"subject": "a\r\nBcc: x@y", "type": "x", "priority": "urgent", "scheduledFor": "soon",
			"equipmentId": unknown, "technicianId": requesterID, "requestedById": "kim",
		}), map[string]string{
			"subject": "must be one line without control characters", "type": "must be corrective or preventive",
			"priority": "must be low, normal or high", "scheduledFor": "must be a time such as 2026-03-04T05:06:07Z (RFC 3339)",
			"equipmentId": "there is no such equipment", "technicianId": "is not a technician",
			"requestedById": "must be an id of 24 hexadecimal digits",
		}},
		"unknown people": {body(map[string]any{"technicianId": unknown, "requestedById": unknown}), map[string]string{
			"technicianId": "there is no such user", "requestedById": "there is no such user",
		}},
		"a wrong type, and more": {body(map[string]any{"subject": 7, "type": nil}), map[string]string{
			"subject": "must be a string, not a JSON number", "type": "must be corrective or preventive",
		}},
		"an unknown field": {body(map[string]any{"state": "sent"}), map[string]string{"state": "is not a field of a request"}},
		"null": {"null", map[string]string{
			"subject": "is required", "type": "must be corrective or preventive",
			"equipmentId": "is required", "technicianId": "is required", "requestedById": "is required",
		}},
	} {
		p := requireProblem(t, f.do(http.MethodPost, "/api/requests", c.body), http.StatusBadRequest)
		require.Equal(t, c.want, p.Errors, name)
	}
	for text, detail := range map[string]string{
		"":                    "The body is not valid JSON.",
		"{":                   "The body is not valid JSON.",
		"[]":                  "The body must be a JSON object.",
		body(nil) + body(nil): "The body holds more than one JSON value.",
	} {
		p := requireProblem(t, f.do(http.MethodPost, "/api/requests", text, "Content-Type", "application/json"), http.StatusBadRequest)
		require.Equal(t, detail, p.Detail, text)
	}
	all, err := f.store.Memory.Requests(t.Context(), "", "", 10)
	require.NoError(t, err)
	require.Empty(t, all, "something was stored")
	require.Empty(t, f.offered)
}

func TestCreate_RejectsLargeAndNonJSONBodies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long := body(map[string]any{"description": strings.Repeat("x", httpapi.MaxBody)})
	require.Equal(t, "The body must not exceed 65536 bytes.",
		requireProblem(t, f.do(http.MethodPost, "/api/requests", long), http.StatusRequestEntityTooLarge).Detail)
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset"} {
		require.Equal(t, "Send JSON, with Content-Type: application/json.", requireProblem(t,
			f.do(http.MethodPost, "/api/requests", body(nil), "Content-Type", contentType), http.StatusUnsupportedMediaType).Detail)
	}
	require.Equal(t, http.StatusCreated,
		f.do(http.MethodPost, "/api/requests", body(nil), "Content-Type", "Application/JSON; charset=utf-8").Code)
}

func TestList(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.JSONEq(t, "[]", f.do(http.MethodGet, "/api/requests", "").Body.String())
	var ids []string
	for range 3 {
		ids = append(ids, f.create(nil).ID)
	}
	page := func(query string) (got []string) {
		answer := f.do(http.MethodGet, "/api/requests"+query, "")
		require.Equal(t, http.StatusOK, answer.Code)
		var requests []app.Request
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &requests))
		for _, r := range requests {
			got = append(got, r.ID)
		}
		return got
	}
	require.Equal(t, ids, page(""))
	require.Equal(t, ids[:2], page("?limit=2"))
	require.Equal(t, ids[2:], page("?limit=2&after="+ids[1]))

	r, err := f.store.Request(t.Context(), ids[1])
	require.NoError(t, err)
	_, _, err = app.Update(t.Context(), f.store, r, func(n app.Notification) (app.Notification, bool) {
		return n.Fail(app.Run{}, "550 no such user", time.Now())
	})
	require.NoError(t, err)
	require.Equal(t, ids[1:2], page("?state=failed"))
	require.Equal(t, []string{ids[0], ids[2]}, page("?state=pending&limit=2"))
	require.Empty(t, page("?state=failed&after="+ids[1]))

	p := requireProblem(t, f.do(http.MethodGet, "/api/requests?limit=201&after=x&state=lost", ""), http.StatusBadRequest)
	require.Equal(t, map[string]string{
		"limit": "must be a number between 1 and 200", "after": "must be the id of a request", "state": "must be pending, dispatched, sent or failed",
	}, p.Errors)
	for _, limit := range []string{"0", "-1", "x", "9999999999999999999"} {
		requireProblem(t, f.do(http.MethodGet, "/api/requests?limit="+limit, ""), http.StatusBadRequest)
	}
}

func TestRequeue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.create(nil)
	target := "/api/requests/" + r.ID + "/notification"
	p := requireProblem(t, f.do(http.MethodPost, target, ""), http.StatusConflict)
	require.Equal(t, "Only a failed notification can be requeued; this one is pending.", p.Detail)

	stored, err := f.store.Request(t.Context(), r.ID)
	require.NoError(t, err)
	_, _, err = app.Update(t.Context(), f.store, stored, func(n app.Notification) (app.Notification, bool) {
		return n.Fail(app.Run{}, "550 no such user", time.Now())
	})
	require.NoError(t, err)
	f.offered = nil
	answer := f.do(http.MethodPost, target, "")
	require.Equal(t, http.StatusAccepted, answer.Code)
	require.Len(t, f.offered, 1)
	require.Equal(t, r.ID+"-2", f.offered[0].Event().IdempotencyKey)
	require.Contains(t, answer.Body.String(), `"state":"pending","generation":2`)
	requireProblem(t, f.do(http.MethodPost, target, ""), http.StatusConflict)
}

func TestHandler_UnknownRequestsAndRoutes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, id := range []string{equipmentID, "x", "%00", "..%2f"} {
		requireProblem(t, f.do(http.MethodGet, "/api/requests/"+id, ""), http.StatusNotFound)
		requireProblem(t, f.do(http.MethodPost, "/api/requests/"+id+"/notification", ""), http.StatusNotFound)
		require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/requests/"+id, "").Code)
	}
	require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/api/nothing", "").Code)
	require.Equal(t, http.StatusMethodNotAllowed, f.do(http.MethodDelete, "/api/requests", "").Code)
	require.Equal(t, http.StatusMethodNotAllowed, f.do(http.MethodDelete, "/api/inngest", "").Code)
}

func TestHandler_RequiresToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, asInProduction)
	for _, credential := range []string{"", "Bearer", "Bearer ", "Bearer x", "Basic " + token, token, "Bearer " + token + "x"} {
		for _, call := range [][2]string{
			{http.MethodPost, "/api/requests"}, {http.MethodGet, "/api/requests"}, {http.MethodGet, "/api/requests/" + equipmentID},
			{http.MethodPost, "/api/requests/" + equipmentID + "/notification"},
		} {
			answer := f.do(call[0], call[1], "", "Authorization", credential)
			requireProblem(t, answer, http.StatusUnauthorized)
			require.Equal(t, `Bearer realm="maintenance requests"`, answer.Header().Get("WWW-Authenticate"))
		}
	}
	require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/api/requests", "", "Authorization", "bearer "+token).Code)
	for _, open := range []string{"/healthz", "/readyz", "/api/inngest"} {
		require.Equal(t, http.StatusOK, f.do(http.MethodGet, open, "").Code, open)
	}
}

func TestHandler_AcceptsTwoTokens(t *testing.T) {
	t.Parallel()
	f := newFixture(t, asInProduction, func(o *httpapi.Options) { o.Tokens = []string{"new token", "previous token"} })
	for credential, want := range map[string]int{"new token": 200, "previous token": 200, "new tokenprevious token": 401, token: 401} {
		require.Equal(t, want, f.do(http.MethodGet, "/api/requests", "", "Authorization", "Bearer "+credential).Code, credential)
	}
}

func TestHandler_LimitsRateOfEachToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, asInProduction, func(o *httpapi.Options) { o.Tokens, o.Rate = []string{"new token", "previous token"}, 3 })
		get := func(credential string) *httptest.ResponseRecorder {
			return f.do(http.MethodGet, "/api/requests", "", "Authorization", "Bearer "+credential)
		}
		for range 3 {
			require.Equal(t, http.StatusOK, get("new token").Code)
		}
		refused := get("new token")
		require.Equal(t, "1", refused.Header().Get("Retry-After"))
		require.Equal(t, "There are more than 3 calls per second with this token; try again in a second.",
			requireProblem(t, refused, http.StatusTooManyRequests).Detail)
		require.Equal(t, http.StatusTooManyRequests, f.do(http.MethodPost, "/api/requests", body(nil), "Authorization", "Bearer new token").Code)
		for range 5 {
			require.Equal(t, http.StatusUnauthorized, get("a wrong token").Code)
		}
		require.Equal(t, http.StatusOK, get("previous token").Code, "each token has its own limit")
		<-time.After(time.Second)
		require.Equal(t, http.StatusOK, get("new token").Code)
	})
}

func TestHandler_HasNoLimitWithoutRate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, asInProduction)
	for range 500 {
		require.Equal(t, http.StatusNotFound, f.do(http.MethodGet, "/api/requests/x", "", "Authorization", "Bearer "+token).Code)
	}
}

func TestReady_SaysWhyNot(t *testing.T) {
	t.Parallel()
	reason := "not registered"
	f := newFixture(t, func(o *httpapi.Options) { o.Ready = func(context.Context) string { return reason } })
	answer := f.do(http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	require.Equal(t, "not registered\n", answer.Body.String())
	require.Contains(t, f.log.String(), "not ready: not registered")
	require.Contains(t, f.log.String(), "level=DEBUG msg=http method=GET path=/readyz status=503")
	require.NotContains(t, f.log.String(), "level=ERROR", "a probe asks each second")
	reason = ""
	require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/readyz", "").Code)
}

func TestHandler_DatabaseErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    error
		status int
		again  string // Retry-After
		says   string
		page   string
	}{
		{"away", fmt.Errorf("find: %w: no server at mongodb://kim:secret@db", app.ErrUnavailable),
			http.StatusServiceUnavailable, "5", "The database cannot be reached; try again in a moment.", "Try again in a moment."},
		{"anything else", errors.New("find: cannot decode the secret"),
			http.StatusInternalServerError, "", "The request could not be handled; the app's log says why.", "The request cannot be shown."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.store.err = c.err
			for _, call := range [][3]string{
				{http.MethodPost, "/api/requests", body(nil)}, {http.MethodGet, "/api/requests"}, {http.MethodGet, "/api/requests?state=failed"},
				{http.MethodGet, "/api/requests/" + equipmentID}, {http.MethodPost, "/api/requests/" + equipmentID + "/notification"},
			} {
				answer := f.do(call[0], call[1], call[2])
				require.Equal(t, c.says, requireProblem(t, answer, c.status).Detail)
				require.Equal(t, c.again, answer.Header().Get("Retry-After"))
				require.NotContains(t, answer.Body.String(), "secret")
			}
			page := f.do(http.MethodGet, "/requests/"+equipmentID, "")
			require.Equal(t, c.status, page.Code)
			require.Equal(t, c.again, page.Header().Get("Retry-After"))
			require.Contains(t, page.Body.String(), c.page)
			require.NotContains(t, page.Body.String(), "secret")
			require.Equal(t, http.StatusServiceUnavailable, f.do(http.MethodGet, "/readyz", "").Code)
			require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/healthz", "").Code, "alive, though not ready")
		})
	}
}

func TestHandler_ServesInngest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		require.Equal(t, "inngest "+method, f.do(method, "/api/inngest?fnId=x", "").Body.String())
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.create(map[string]any{
		"subject": `Belt <script>alert(1)</script> "torn" ` + "\u202e", "description": "</p><img src=x onerror=alert(1)>\nNext line.",
		"scheduledFor": "2026-03-04T05:06:00Z", "priority": "high",
	})
	answer := f.do(http.MethodGet, "/requests/"+r.ID, "")
	require.Equal(t, http.StatusOK, answer.Code)
	page := answer.Body.String()
	for _, part := range []string{
		"Belt &lt;script&gt;alert(1)&lt;/script&gt; &#34;torn&#34;", "&lt;/p&gt;&lt;img src=x onerror=alert(1)&gt;\nNext line.",
		"Press 4", "Hall 2", "Kim Larsen", "Lee &lt;b&gt;Park&lt;/b&gt;", "High", "Corrective",
		"Wednesday, 4 March 2026, 05:06 UTC", "The technician is being notified.",
		`name="viewport"`, `name="color-scheme"`, "prefers-color-scheme: dark",
	} {
		require.Contains(t, page, part)
	}
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "<img")

	policy := answer.Header().Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	style := page[strings.Index(page, "<style>")+len("<style>") : strings.Index(page, "</style>")]
	require.Contains(t, policy, "style-src 'sha256-"+httpapi.Hash(style)+"'", "the policy blocks the page's own style")
	require.Equal(t, "no-referrer", answer.Header().Get("Referrer-Policy"))
	require.Equal(t, "private, no-store", answer.Header().Get("Cache-Control"))
	require.Equal(t, "nosniff", answer.Header().Get("X-Content-Type-Options"))
}

func TestPage_ShowsStateOfNotification(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for want, change := range map[string]func(app.Notification) (app.Notification, bool){
		"The technician was notified on Wednesday, 4 March 2026, 05:06 UTC.": func(n app.Notification) (app.Notification, bool) {
			return n.Accept(time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC))
		},
		"The technician could not be notified: 550 no &lt;such&gt; user": func(n app.Notification) (app.Notification, bool) {
			return n.Fail(app.Run{}, "550 no <such> user", time.Now())
		},
	} {
		r, err := f.store.Request(t.Context(), f.create(nil).ID)
		require.NoError(t, err)
		_, _, err = app.Update(t.Context(), f.store, r, change)
		require.NoError(t, err)
		require.Contains(t, f.do(http.MethodGet, "/requests/"+r.ID, "").Body.String(), want)
	}
}

func TestPage_RequiresSignatureOrTokenInProduction(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r, other := f.create(nil), f.create(nil)
	production := newFixture(t, asInProduction, func(o *httpapi.Options) { o.Store = f.store })
	link, err := url.Parse(f.links.Page(r.ID))
	require.NoError(t, err)
	sig := link.Query().Get("sig")

	get := func(target string, header ...string) int {
		return production.do(http.MethodGet, target, "", header...).Code
	}
	require.Equal(t, http.StatusOK, get(link.RequestURI()))
	require.Equal(t, http.StatusOK, get("/requests/"+r.ID, "Authorization", "Bearer "+token))
	require.Equal(t, http.StatusForbidden, get("/requests/"+r.ID))
	require.Equal(t, http.StatusForbidden, get("/requests/"+other.ID+"?sig="+sig))
	require.Equal(t, http.StatusForbidden, get("/requests/"+r.ID+"?sig=x"+sig[1:]+"x"))
	require.Equal(t, http.StatusForbidden, get("/requests/"+equipmentID), "tells that the request does not exist")
	require.Equal(t, http.StatusUnauthorized, get("/api/requests/"+r.ID+"?sig="+sig), "the link opens the page, not the API")
	require.Contains(t, production.do(http.MethodGet, "/requests/x", "").Body.String(), "Open the request from the button in the email")
	require.NotContains(t, production.log.String(), sig[1:], "the log holds a signature")
	require.NotContains(t, production.log.String(), token)
}

func TestHandler_LogsCalls(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do(http.MethodGet, "/api/requests/x?secret=1", "")
	require.Contains(t, f.log.String(), "level=INFO msg=http method=GET path=/api/requests/x status=404 bytes=")
	require.NotContains(t, f.log.String(), "secret")
	f.do(http.MethodGet, "/healthz", "")
	require.Contains(t, f.log.String(), "level=DEBUG msg=http method=GET path=/healthz status=200 bytes=3")
}

func TestAnswer_ThatCannotBeEncodedIsAnErrorAndLogged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.create(nil)
	stored, err := f.store.Request(t.Context(), r.ID)
	require.NoError(t, err)
	stored.ID = f.store.NewID()
	stored.ScheduledFor = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, f.store.CreateRequest(t.Context(), stored))
	for _, path := range []string{"/api/requests", "/api/requests?limit=200", "/api/requests/" + stored.ID} {
		requireProblem(t, f.do(http.MethodGet, path, ""), http.StatusInternalServerError)
		require.Contains(t, f.log.String(), "level=ERROR msg=\"a call failed\" method=GET", path)
		require.Contains(t, f.log.String(), "encode the response")
		f.log.Reset()
	}
	require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/api/requests/"+r.ID, "").Code)
}

// FuzzCreate checks that the API answers with 201 or 4xx, stores only valid requests and does not panic.
func FuzzCreate(f *testing.F) {
	f.Add(body(nil))
	f.Add(body(map[string]any{"subject": "\u0000", "scheduledFor": "9999-12-31T23:59:59Z"}))
	f.Add(body(map[string]any{"scheduledFor": "9999-12-31T23:59:59-23:59"}))
	f.Add(`{"subject":1}`)
	f.Add("\xff\xfe")
	fixture := newFixture(f)
	f.Fuzz(func(t *testing.T, text string) {
		answer := fixture.do(http.MethodPost, "/api/requests", text, "Content-Type", "application/json")
		if answer.Code != http.StatusCreated {
			require.Equal(t, 4, answer.Code/100, answer.Body)
			return
		}
		var r app.Request
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &r))
		require.NotContains(t, r.Subject, "\n")
		require.LessOrEqual(t, len([]rune(r.Subject)), app.MaxSubject)
		page := fixture.do(http.MethodGet, "/requests/"+r.ID, "")
		require.Equal(t, http.StatusOK, page.Code)
		require.NotContains(t, page.Body.String(), "<script")
	})
}

func TestCreate_AcceptsTechnicianWithoutAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.Equal(t, http.StatusCreated, f.do(http.MethodPost, "/api/requests", body(map[string]any{"technicianId": mutedID})).Code)
}
