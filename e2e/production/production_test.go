package production

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/config"
	"github.com/odoo-maintenance/inngest-harness/app/service"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
)

const (
	token    = "a token of the requests API"
	function = "odoo-maintenance-send-request-notification"
)

// environment sets the variables of production mode, and unsets the others.
func environment(t *testing.T, servers harness.Endpoints, inngest *server, port string) {
	database, err := url.Parse(servers.Mongo)
	require.NoError(t, err)
	database.Path = "/production"
	host, smtp, _ := strings.Cut(servers.SMTP, ":")
	vars := map[string]string{
		"INNGEST_BASE_URL": inngest.url, "INNGEST_EVENT_KEY": inngest.keys.Event, "INNGEST_SIGNING_KEY": "signkey-prod-" + inngest.keys.Signing,
		"MONGODB_URI": database.String(), "MAIL_HOST": host, "MAIL_PORT": smtp, "MAIL_FROM": "Maintenance <maintenance@plant.example>",
		"APP_URL": "https://plant.example", "SERVE_URL": "http://127.0.0.1:" + port, "HOST": "127.0.0.1", "PORT": port,
		"API_TOKEN": token, "CONFIRM_AFTER": "1s",
	}
	for _, v := range config.Table() {
		t.Setenv(v.Name, vars[v.Name])
	}
}

// A request that is created before the app is registered arrives once it is. No unsigned or foreign call changes what is
// registered.
func TestProduction_FromEmptyToAnEmail(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	st, inngest := start(ctx, t)
	port := freePorts(t, 1)[0]
	environment(t, st.Endpoints(), inngest, port)
	appURL := "http://127.0.0.1:" + port
	store, err := testenv.Seed(ctx, os.Getenv("MONGODB_URI"), fixtures.World())
	require.NoError(t, err)
	require.NoError(t, store.Close(ctx))
	ctx, stop := serve(ctx, t, inngest.keys)
	defer stop()

	eventually(ctx, t, func() error { return answers(ctx, appURL+"/readyz", http.StatusServiceUnavailable, "not registered") })
	request := create(ctx, t, appURL, fixtures.Requests()[0])
	refused(t, appURL+"/api/inngest", inngest.keys.Signing)
	require.Equal(t, "[]\n", inngest.registered(t), "a call that was refused has registered the app")
	eventually(ctx, t, func() error {
		r, err := stored(ctx, appURL, request.ID)
		if err == nil && r.Notification.Generation == 1 {
			err = fmt.Errorf("the event without a run was not sent again: %+v", r.Notification)
		}
		return err
	})

	var said bytes.Buffer
	require.Zero(t, service.Command(ctx, []string{"sync"}, &said, &said), "%s", &said)
	require.Contains(t, said.String(), "registered odoo-maintenance at "+appURL+"/api/inngest\n")
	require.Contains(t, said.String(), "1 now ("+function+"), 0 before")
	require.NoError(t, answers(ctx, appURL+"/readyz", http.StatusOK, "ready"))
	registered := inngest.registered(t)
	require.Contains(t, registered, ":"+port+"/api/inngest?")

	_, err = st.Inbox().Wait(ctx, testenv.EmailOf(request))
	require.NoError(t, err, "the request from before the sync")

	refused(t, appURL+"/api/inngest", inngest.keys.Signing)
	require.Equal(t, registered, inngest.registered(t))
	second := create(ctx, t, appURL, fixtures.Requests()[1])
	_, err = st.Inbox().Wait(ctx, testenv.EmailOf(second))
	require.NoError(t, err)
}

// serve runs the app in the background. When ctx ends, and when the app exits by itself, the returned context ends; stop
// stops it.
func serve(ctx context.Context, t *testing.T, keys harness.Keys) (running context.Context, stop func()) {
	running, exit := context.WithCancelCause(ctx)
	stopping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var log bytes.Buffer
	done := make(chan int, 1)
	go func() {
		code := service.Command(stopping, nil, &log, &log)
		exit(fmt.Errorf("the app has exited with status %d:\n%s", code, &log))
		done <- code
	}()
	return running, func() {
		cancel()
		assert.Zero(t, <-done, "%s", &log)
		assert.NotContains(t, log.String(), keys.Signing)
	}
}

func create(ctx context.Context, t *testing.T, appURL string, f fixtures.Request) app.Request {
	t.Helper()
	r, err := testenv.CreateAs(ctx, appURL, token, f)
	require.NoError(t, err)
	return r
}

// stored reads a request from the app's API.
func stored(ctx context.Context, appURL, id string) (r app.Request, err error) {
	call, err := http.NewRequestWithContext(ctx, http.MethodGet, appURL+"/api/requests/"+id, http.NoBody)
	if err != nil {
		return r, err
	}
	call.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(call)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	return r, json.NewDecoder(resp.Body).Decode(&r)
}

func answers(ctx context.Context, url string, status int, text string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != status || !strings.Contains(body.String(), text) {
		return fmt.Errorf("%s answers %s: %s", url, resp.Status, &body)
	}
	return nil
}

// refused requires the app to refuse what does not come from the Inngest server, and to take no address from a request.
func refused(t *testing.T, url, signingKey string) {
	t.Helper()
	body := `{"url":"http://foreign.example/api/inngest"}`
	now := time.Now()
	sign := func(key, body string, at time.Time) string {
		signature, err := inngestgo.Sign(t.Context(), at, []byte(key), []byte(body))
		require.NoError(t, err)
		return signature
	}
	for name, c := range map[string]struct {
		method, signature string
		want              int
	}{
		"unsigned call":               {http.MethodPost, "", http.StatusUnauthorized},
		"call with another key":       {http.MethodPost, sign("00", body, now), http.StatusUnauthorized},
		"call with a changed body":    {http.MethodPost, sign(signingKey, "{}", now), http.StatusUnauthorized},
		"call that was recorded":      {http.MethodPost, sign(signingKey, body, now.Add(-10*time.Minute)), http.StatusUnauthorized},
		"unsigned inspection":         {http.MethodGet, "", http.StatusUnauthorized},
		"unsigned sync":               {http.MethodPut, "", http.StatusUnauthorized},
		"sync with another key":       {http.MethodPut, sign("00", body, now), http.StatusUnauthorized},
		"signed sync, as of a server": {http.MethodPut, sign(signingKey, body, now), http.StatusOK},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, url+"?fnId="+function+"&stepId=step", strings.NewReader(body))
		require.NoError(t, err)
		r.Host = "foreign.example"
		r.Header.Set("X-Forwarded-Host", "foreign.example")
		if c.signature != "" {
			r.Header.Set("X-Inngest-Signature", c.signature)
		}
		status, answer := do(t, r)
		require.Equal(t, c.want, status, "%s: %s", name, answer)
		require.NotContains(t, answer, "foreign.example", name)
	}
}
