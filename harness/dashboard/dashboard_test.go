package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/dashboard"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// reader uses a dashboard without a browser.
type reader struct {
	*harnesstest.T
	url string
}

func open(t *harnesstest.T, o dashboard.Options) *reader {
	t.Helper()
	d, err := dashboard.New(t.Stack, o)
	require.NoError(t, err)
	server := httptest.NewServer(d)
	t.Cleanup(func() { require.NoError(t, d.Close(context.Background())); server.Close() })
	return &reader{t, server.URL}
}

// answer is what the dashboard said.
type answer struct {
	status int
	header http.Header
	body   string
}

func (r *reader) get(path string) answer {
	r.Helper()
	res, err := http.Get(r.url + path)
	return r.read(res, err)
}

func (r *reader) read(res *http.Response, err error) answer {
	r.Helper()
	require.NoError(r, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(r, err)
	return answer{res.StatusCode, res.Header, string(body)}
}

// post does what a form of the dashboard's own pages does, by its script.
func (r *reader) post(path string, form url.Values) (status int, said map[string]string) {
	r.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	require.NoError(r, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", r.url)
	req.Header.Set("Accept", "application/json")
	a := r.read(http.DefaultClient.Do(req))
	require.NoError(r, json.Unmarshal([]byte(a.body), &said), a.body)
	return a.status, said
}

// line is a row as the page gets it.
type line struct {
	ID, Name, State, Note, Data string
	Runs                        []struct {
		ID, Fn, State string
		Steps         []struct{ ID, State string }
	}
	Mail []struct{ ID, To string }
}

// news is one message of the stream.
type news struct {
	Rows  []line
	Stack *struct {
		App struct{ State, Detail string }
	}
}

// follow reads the stream until a row is as wanted.
func (r *reader) follow(want func(line) bool) (found line) {
	r.Helper()
	r.watch(func(n news) bool {
		i := slices.IndexFunc(n.Rows, want)
		if i >= 0 {
			found = n.Rows[i]
		}
		return i >= 0
	})
	return found
}

// watch reads the stream until there is such news.
func (r *reader) watch(such func(news) bool) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/live", nil)
	require.NoError(r, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(r, err)
	defer res.Body.Close()
	require.Equal(r, "text/event-stream", res.Header.Get("Content-Type"))
	lines := bufio.NewReader(res.Body)
	for {
		text, err := lines.ReadString('\n')
		require.NoError(r, err, "the stream has ended before there was such news")
		data, ok := strings.CutPrefix(text, "data: ")
		if !ok {
			continue
		}
		var n news
		require.NoError(r, json.Unmarshal([]byte(data), &n))
		if such(n) {
			return
		}
	}
}

func TestDashboard_FollowsAnEventToItsEmail(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		to := t.Salt() + "@plant.test"
		r := open(t, dashboard.Options{Samples: []dashboard.Sample{{Name: "an order", Event: harness.Event{Name: "shop/ordered", Data: map[string]any{"to": to}}}}})
		require.Contains(t, r.get("/").body, `<button name="sample" value="an order">`)
		status, said := r.post("/send", url.Values{"sample": {"an order"}})
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "Sent shop/ordered", said["said"])

		row := r.follow(func(l line) bool { return l.ID == said["event"] && l.State == "completed" && len(l.Mail) == 1 })
		require.Equal(t, to, row.Mail[0].To)
		require.Equal(t, "confirm", row.Runs[0].Fn)
		require.Equal(t, []string{"load-order", "send-email"}, []string{row.Runs[0].Steps[0].ID, row.Runs[0].Steps[1].ID})

		page := r.get("/event/" + row.ID)
		require.Equal(t, http.StatusOK, page.status)
		require.Contains(t, html.UnescapeString(page.body), `{
  "event": {
    "to": "`+to+`"
  },
  "steps": {
    "load-order": "`+to+`"
  }
}</pre>`, "what the second step was given")
		for _, want := range []string{"shop/ordered", "SMTP to " + to, "Your order", `<iframe sandbox="" `, `src="/mail/` + row.Mail[0].ID + `/document"`, "Nothing more can happen"} {
			require.Contains(t, page.body, want)
		}
		part := r.get("/event/" + row.ID + "?part").body
		require.NotContains(t, part, "<html")
		require.Contains(t, part, `id="timeline"`)
		var trace harness.Trace
		require.NoError(t, json.Unmarshal([]byte(r.get("/event/"+row.ID+"/trace.json").body), &trace))
		require.Equal(t, row.ID, trace.EventID)

		status, again := r.post("/event/"+row.ID+"/again", nil)
		require.Equal(t, http.StatusOK, status)
		require.NotEqual(t, row.ID, again["event"])
		r.follow(func(l line) bool { return l.ID == again["event"] && l.State == "completed" && len(l.Mail) == 1 })
	})
}

func TestDashboard_ShowsWhatAnInvocationStarted(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		to := t.Salt() + "@plant.test"
		r := open(t, dashboard.Options{})
		id, err := t.Stack.Invoke(t.Context(), "shop-confirm", []byte(`{"to":"`+to+`"}`))
		require.NoError(t, err)
		row := r.follow(func(l line) bool { return l.ID == id && l.State == "completed" && len(l.Mail) == 1 })
		require.Equal(t, "inngest/function.invoked", row.Name)
		require.Equal(t, to, row.Mail[0].To)
		r.watch(func(n news) bool { // all rows there are
			require.False(t, slices.ContainsFunc(n.Rows, func(l line) bool { return l.Name == "inngest/function.finished" }), "a consequence has a row of its own")
			return true
		})
	})
}

func TestDashboard_ShowsEarlierEvents(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		id := t.Send(harness.Event{Name: "shop/ordered", Data: map[string]any{"to": t.Salt() + "@plant.test"}})
		r := open(t, dashboard.Options{})
		row := r.follow(func(l line) bool { return l.ID == id && l.State == "completed" && len(l.Mail) == 1 })
		require.Equal(t, "shop/ordered", row.Name)
	})
}

func TestDashboard_AsksTheServersWithoutTaps(t *testing.T) {
	suite.RunAlone(t, func(o *stack.Options) { o.WithoutTaps = true }, func(t *harnesstest.T) {
		r := open(t, dashboard.Options{})
		id := t.Send(harness.Event{Name: "shop/ordered", Data: map[string]any{"to": t.Salt() + "@plant.test"}})
		r.follow(func(l line) bool { return l.ID == id && l.State == "completed" && len(l.Mail) == 1 })
	})
}

func TestDashboard_SaysWhatGoesWrong(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		r := open(t, dashboard.Options{})
		failed := t.Send(harness.Event{Name: "shop/ordered"})
		unsubscribed := t.Send(harness.Event{Name: "shop/closed"})
		row := r.follow(func(l line) bool { return l.ID == failed && l.State == "failed" })
		require.Contains(t, row.Note, "the order names no recipient")
		require.Contains(t, r.get("/event/"+failed).body, "the order names no recipient")
		row = r.follow(func(l line) bool { return l.ID == unsubscribed && l.State == "unsubscribed" })
		require.Equal(t, "no function subscribes to it", row.Note)
		require.Contains(t, r.get("/event/"+unsubscribed).body, "No function subscribes to shop/closed.")

		const unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
		page := r.get("/event/" + unknown)
		require.Equal(t, http.StatusNotFound, page.status)
		require.Contains(t, page.body, "the Inngest server knows no such thing")
		require.Equal(t, http.StatusNotFound, r.get("/event/"+unknown+"/trace.json").status)
		require.Equal(t, "This email is no longer in the inbox.\n", r.get("/mail/unknown").body)
		require.Equal(t, "There is no such service.\n", r.get("/log/passwd").body)
		require.Equal(t, http.StatusNotFound, r.get("/static/board.html").status, "a template is no page")
		status, said := r.post("/send", url.Values{"sample": {"nothing"}})
		require.Equal(t, http.StatusBadGateway, status)
		require.Equal(t, `there is no sample "nothing"`, said["said"])
		status, _ = r.post("/event/"+unknown+"/again", nil)
		require.Equal(t, http.StatusNotFound, status)
	})
}

func TestDashboard_PostsSamplesToTheApp(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		r := open(t, dashboard.Options{Samples: []dashboard.Sample{
			{Name: "good", Path: "/orders", Body: []byte(`{}`)}, {Name: "wrong", Method: "PUT", Path: "/orders"},
			{Name: "named", Path: "/orders", Body: []byte(`{"id":"order-` + t.Salt() + `","to":"` + t.Salt() + `@plant.test"}`)},
		}})
		status, said := r.post("/send", url.Values{"sample": {"good"}})
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, map[string]string{"said": "Sent good: the app answered 201 Created", "event": ""}, said, "nothing tells which event came of it")
		_, said = r.post("/send", url.Values{"sample": {"named"}})
		require.Contains(t, r.get("/event/"+said["event"]).body, "order-"+t.Salt(), "the event that names what was created")
		status, said = r.post("/send", url.Values{"sample": {"wrong"}})
		require.Equal(t, http.StatusBadGateway, status)
		require.Equal(t, "the app answered 405 Method Not Allowed: Method Not Allowed", said["said"])
	})
}

func TestDashboard_ServesDocumentsUnderTheirOwnPolicy(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		r := open(t, dashboard.Options{})
		to := t.Salt() + "@plant.test"
		t.Send(harness.Event{Name: "shop/ordered", Data: map[string]any{"to": to}})
		m, err := t.Stack.Inbox().Wait(t.Context(), inbox.Filter{To: to})
		require.NoError(t, err)
		document := r.get("/mail/" + m.ID + "/document")
		require.Equal(t, "sandbox; frame-ancestors 'self'; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'",
			document.header.Get("Content-Security-Policy"))
		require.Contains(t, document.body, "<p>Thank you.</p>")
		require.NotContains(t, document.body, "alert")
		require.Contains(t, r.get("/mail/"+m.ID).body, "Your order")
		require.NotEmpty(t, r.get("/log/mailhog").body)
		require.Contains(t, r.get("/static/mailview.css").header.Get("Content-Type"), "text/css")
		require.Contains(t, r.get("/static/board.js").header.Get("Content-Type"), "text/javascript")
	})
}

func TestDashboard_ShowsNoSecrets(t *testing.T) {
	const key = "correct-horse"
	keep := func(o *stack.Options) {
		o.AppEnv = append(o.AppEnv, "SHOP_API_KEY="+key, "SHOP_NUMBER_KEY=31415926535")
	}
	suite.RunAlone(t, keep, func(t *harnesstest.T) {
		r := open(t, dashboard.Options{})
		to := t.Salt() + "@plant.test"
		require.NoError(t, smtp.SendMail(t.Stack.Endpoints().SMTP, nil, "a@shop.test", []string{to}, []byte("To: "+to+
			"\r\nSubject: Key "+key+"\r\nContent-Type: text/html\r\n\r\n<p>Your key is "+key+".</p>\r\n")))
		m, err := t.Stack.Inbox().Wait(t.Context(), inbox.Filter{To: to})
		require.NoError(t, err)
		row := r.follow(func(l line) bool { return len(l.Mail) > 0 && l.Mail[0].ID == m.ID })
		require.Equal(t, "Key ***", row.Name)
		id := t.Send(harness.Event{Name: "shop/ordered", Data: map[string]any{"to": to, "key": key}})
		row = r.follow(func(l line) bool { return l.ID == id })
		require.Contains(t, row.Data, "***")
		require.NotContains(t, row.Data, key)
		// Without a secret that is a number, data are no JSON any more.
		id = t.Send(harness.Event{Name: "shop/ordered", Data: map[string]any{"to": to, "number": 31415926535}})
		row = r.follow(func(l line) bool { return l.ID == id })
		require.NotContains(t, row.Data, "31415926535")
		raw := r.get("/event/" + id + "/trace.json")
		require.Equal(t, http.StatusOK, raw.status)
		require.True(t, json.Valid([]byte(raw.body)), raw.body)
		require.NotContains(t, raw.body, "31415926535")
		page := r.get("/mail/" + m.ID).body
		require.Contains(t, page, "Key ***")
		require.NotContains(t, page, key)
		document := r.get("/mail/" + m.ID + "/document").body
		require.Contains(t, document, "Your key is ***.")
		require.NotContains(t, document, key)
	})
}

func TestDashboard_EmptiesTheInbox(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		r := open(t, dashboard.Options{})
		id := t.Send(harness.Event{Name: "shop/ordered", Data: map[string]any{"to": "kim@plant.test"}})
		r.follow(func(l line) bool { return l.ID == id && len(l.Mail) == 1 && l.State == "completed" })
		status, said := r.post("/inbox/clear", nil)
		require.Equal(t, http.StatusOK, status, said)
		r.follow(func(l line) bool { return l.ID == id && len(l.Mail) == 0 })
		n, err := t.Stack.Inbox().Count(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)

		id = t.Send(harness.Event{Name: "shop/ordered", Data: map[string]any{"to": "kim@plant.test"}})
		r.follow(func(l line) bool { return l.ID == id && len(l.Mail) == 1 && l.State == "completed" })
		req, err := http.NewRequest(http.MethodDelete, t.Stack.Endpoints().MailHog+"/api/v1/messages", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, r.read(http.DefaultClient.Do(req)).status)
		r.follow(func(l line) bool { return l.ID == id && len(l.Mail) == 0 })

	})
}

func TestDashboard_SaysWhyTheAppIsNotSynced(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		r := open(t, dashboard.Options{Samples: []dashboard.Sample{{Name: "close", Path: "/close"}, {Name: "open", Path: "/open"}}})
		synced := func(n news) bool {
			return n.Stack != nil && n.Stack.App.State == "synced" && n.Stack.App.Detail == "shop"
		}
		r.watch(synced)

		r.post("/send", url.Values{"sample": {"close"}})
		status, said := r.post("/sync", nil)
		require.Equal(t, http.StatusBadGateway, status)
		require.Contains(t, said["said"], "answers a PUT with 503 Service Unavailable")
		r.watch(func(n news) bool {
			return n.Stack != nil && n.Stack.App.State == "unsynced" && n.Stack.App.Detail == said["said"]
		})

		r.post("/send", url.Values{"sample": {"open"}})
		status, said = r.post("/sync", nil)
		require.Equal(t, http.StatusOK, status, said)
		r.watch(synced)
	})
}

func TestDashboard_RedirectsFormsWithoutScripts(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		r := open(t, dashboard.Options{})
		id := t.Send(harness.Event{Name: "shop/closed"})
		r.follow(func(l line) bool { return l.ID == id })
		req, err := http.NewRequest(http.MethodPost, r.url+"/event/"+id+"/again", nil)
		require.NoError(t, err)
		req.Header.Set("Origin", r.url)
		res, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusSeeOther, res.StatusCode)
		require.Regexp(t, "^/event/[0-9A-Z]{26}$", res.Header.Get("Location"))
	})
}

func TestClose_EndsEverything(t *testing.T) {
	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		d, err := dashboard.New(t.Stack, dashboard.Options{})
		require.NoError(t, err)
		server := httptest.NewServer(d)
		res, err := http.Get(server.URL + "/live")
		require.NoError(t, err)
		require.NoError(t, d.Close(t.Context()))
		require.NoError(t, d.Close(t.Context()))
		_, err = io.ReadAll(res.Body)
		require.NoError(t, err, "the stream ends gracefully")
		require.NoError(t, res.Body.Close())
		server.Close() // TestMain looks for what is left
	})
}

func TestNew_Errors(t *testing.T) {
	t.Parallel()
	_, err := dashboard.New(nil, dashboard.Options{})
	require.EqualError(t, err, "dashboard: there is no stack to show")
	_, err = dashboard.New(&stack.Stack{}, dashboard.Options{Samples: []dashboard.Sample{{}}})
	require.EqualError(t, err, "dashboard: sample 1: it has no name")
}
