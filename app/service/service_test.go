package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/config"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/inngest"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
	"github.com/odoo-maintenance/inngest-harness/app/service"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	technicianID = "65f000000000000000000a01"
	requesterID  = "65f000000000000000000b01"
	equipmentID  = "65f000000000000000000e01"
	draft        = `{"subject":"Belt torn","type":"corrective","equipmentId":"` + equipmentID + `","technicianId":"` +
		technicianID + `","requestedById":"` + requesterID + `"}`
	signingKey = "signkey-test-0123456789abcdef"
)

// server accepts events as the Inngest server does.
type server struct {
	*httptest.Server
	events chan string
}

func newServer(t *testing.T) *server {
	s := &server{events: make(chan string, 10)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasPrefix(r.URL.Path, "/e/") {
			s.events <- string(body)
		}
		_, _ = io.WriteString(w, `{"ids":["01K"],"status":200}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// mailer accepts an email for each value of accept.
type mailer struct {
	arrived chan *email.Message
	accept  chan struct{}
}

func newMailer(buffer int) mailer {
	return mailer{make(chan *email.Message, buffer), make(chan struct{}, buffer)}
}

func (m mailer) Send(ctx context.Context, message *email.Message) error {
	m.arrived <- message
	select {
	case <-m.accept:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func memory(t *testing.T) *storetest.Memory {
	store := storetest.NewMemory()
	require.NoError(t, store.PutWorld(t.Context(), app.World{
		Users: []app.User{
			{ID: technicianID, Name: "Kim", Email: "kim@plant.test", Role: app.RoleTechnician},
			{ID: requesterID, Name: "Lee", Email: "lee@plant.test", Role: "requester"},
		},
		Equipment: []app.Equipment{{ID: equipmentID, Name: "Press"}},
	}))
	return store
}

func configure(t *testing.T, environ map[string]string) config.Config {
	c, err := config.Parse(environ)
	require.NoError(t, err)
	return c
}

func development(inngest *server) map[string]string {
	return map[string]string{"INNGEST_DEV": inngest.URL, "PORT": "0", "SHUTDOWN_TIMEOUT": "10s"}
}

// run serves until stop is called; stop returns what Run returned.
func run(t *testing.T, c config.Config, deps service.Deps) (url string, stop func() error) {
	s, err := service.New(t.Context(), c, deps)
	require.NoError(t, err)
	l, err := service.Listen(t.Context(), c)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		_ = stop()
		http.DefaultClient.CloseIdleConnections()
	})
	return "http://" + l.Addr().String(), stop
}

func post(t *testing.T, url, body string, header ...string) (int, string) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

// call makes the Inngest server's call for an event.
func call(t *testing.T, url, events string, header ...string) (int, string) {
	event := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(events), "["), "]")
	body := `{"event":` + event + `,"events":[` + event + `],"steps":{},"ctx":{"fn_id":"7e8f9a00-0000-4000-8000-000000000001",` +
		`"run_id":"01RUN","attempt":0,"qi_id":"q","stack":{"stack":[],"current":0}}}`
	return post(t, url+"/api/inngest?fnId="+inngest.AppID+"-"+functions.SendRequestNotificationID+"&stepId=step", body, header...)
}

func TestService_RequestToEmail(t *testing.T) {
	t.Parallel()
	server, store := newServer(t), memory(t)
	mail := newMailer(1)
	var log bytes.Buffer
	url, stop := run(t, configure(t, development(server)), service.Deps{
		Store: store, Mailer: mail, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})

	status, answer := post(t, url+"/api/requests", draft)
	require.Equal(t, http.StatusCreated, status, answer)
	event := <-server.events
	require.Contains(t, event, `"name":"maintenance/request.created"`)
	mail.accept <- struct{}{}
	status, answer = call(t, url, event)
	require.Equal(t, http.StatusOK, status, answer)
	require.Equal(t, "kim@plant.test", (<-mail.arrived).To.Address)
	require.NoError(t, stop())
	require.Contains(t, log.String(), `msg="stopping: finishing pending calls"`)
	require.Contains(t, log.String(), "msg=stopped finished=true\n")

	all, err := store.Requests(t.Context(), "", "", 10)
	require.NoError(t, err)
	require.Equal(t, app.Sent, all[0].Notification.State)
}

func TestRun_StopFinishesPendingWork(t *testing.T) {
	t.Parallel()
	server, store := newServer(t), memory(t)
	mail := newMailer(0)
	url, stop := run(t, configure(t, development(server)), service.Deps{Store: store, Mailer: mail})
	_, _ = post(t, url+"/api/requests", draft)
	event := <-server.events

	called := make(chan int, 1)
	go func() {
		status, _ := call(t, url, event)
		called <- status
	}()
	<-mail.arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	require.Eventually(t, func() bool {
		_, err := http.Get(url + "/healthz") //nolint:bodyclose // succeeds only until the stop
		return err != nil
	}, 5*time.Second, 10*time.Millisecond, "new connections are accepted after the stop")
	require.Empty(t, stopped, "the stop interrupted a delivery")
	close(mail.accept)
	require.Equal(t, http.StatusOK, <-called)
	require.NoError(t, <-stopped)
	all, err := store.Requests(t.Context(), "", "", 10)
	require.NoError(t, err)
	require.Equal(t, app.Sent, all[0].Notification.State)
}

// A balancer that asks /readyz gets 503 before the listener closes, and no call is refused until then.
func TestRun_DrainsBeforeItRefusesCalls(t *testing.T) {
	t.Parallel()
	const drain = 4 * time.Second
	server, store := newServer(t), memory(t)
	environ := development(server)
	environ["DRAIN_DELAY"] = drain.String()
	server.events = make(chan string, 10_000) // nothing reads them
	var log bytes.Buffer
	url, stop := run(t, configure(t, environ), service.Deps{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // each call opens a connection
	call := func(method, path, body string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(r)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusCreated {
			return resp.Status
		}
		return resp.Status + ": " + string(answer)
	}
	require.Equal(t, "200 OK: ready\n", call(http.MethodGet, "/readyz", ""))

	begun := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	ready := call(http.MethodGet, "/readyz", "")
	for ready == "200 OK: ready\n" && len(stopped) == 0 {
		ready = call(http.MethodGet, "/readyz", "")
	}
	require.Equal(t, "503 Service Unavailable: draining\n", ready)
	accepted := 0
	for accepted == 0 || time.Since(begun) < drain/4 {
		for _, c := range []struct{ method, path, body, want string }{
			{http.MethodPost, "/api/requests", draft, "201 Created"},
			{http.MethodGet, "/healthz", "", "200 OK: ok\n"},
			{http.MethodGet, "/readyz", "", "503 Service Unavailable: draining\n"},
		} {
			got := call(c.method, c.path, c.body)
			if after := time.Since(begun); after < drain { // on a busy machine the answer may come after the drain
				require.Equal(t, c.want, got, "%s %s, %v after the signal", c.method, c.path, after)
			}
			if got == "201 Created" {
				accepted++
			}
		}
		require.Less(t, accepted, cap(server.events))
		if accepted == 0 { // the machine was too busy for a call within the drain
			break
		}
	}
	require.Positive(t, accepted)
	require.NoError(t, <-stopped)
	require.GreaterOrEqual(t, time.Since(begun), drain)
	require.Contains(t, log.String(), `msg="stopping: finishing pending calls" drain=4s within=10s`)
	require.NotContains(t, call(http.MethodGet, "/healthz", ""), "ok", "calls are accepted after the stop")
	all, err := store.Requests(t.Context(), "", "", 10_000)
	require.NoError(t, err)
	require.Len(t, all, accepted)
}

func TestRun_StopIsBoundedByShutdownTimeout(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	environ := development(server)
	environ["SHUTDOWN_TIMEOUT"] = "50ms"
	mail := newMailer(0)
	url, stop := run(t, configure(t, environ), service.Deps{Store: memory(t), Mailer: mail})
	_, _ = post(t, url+"/api/requests", draft)
	event := <-server.events
	called := make(chan struct{})
	go func() {
		defer close(called)
		r, err := http.NewRequest(http.MethodPost, url+"/api/inngest?fnId="+inngest.AppID+"-"+functions.SendRequestNotificationID,
			strings.NewReader(`{"event":`+event[1:len(strings.TrimSpace(event))-1]+`,"events":[],"steps":{},"ctx":{"fn_id":"7e8f9a00-0000-4000-8000-000000000001","run_id":"01R"}}`))
		if err != nil {
			return
		}
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	<-mail.arrived
	err := stop()
	require.ErrorContains(t, err, "stopped with connections still open")
	require.ErrorContains(t, err, "stopped without waiting longer for pending calls")
	close(mail.accept)
	<-called
}

func TestRun_StopIsQuickWhileInngestIsAway(t *testing.T) {
	t.Parallel()
	server, store := &server{Server: &httptest.Server{URL: "http://127.0.0.1:1"}}, memory(t)
	url, stop := run(t, configure(t, development(server)), service.Deps{Store: store})
	status, _ := post(t, url+"/api/requests", draft)
	require.Equal(t, http.StatusCreated, status, "a request is accepted even if its event cannot be sent")
	start := time.Now()
	require.NoError(t, stop())
	require.Less(t, time.Since(start), 5*time.Second)
	all, err := store.Requests(t.Context(), "", "", 10)
	require.NoError(t, err)
	require.Equal(t, app.Pending, all[0].Notification.State)
}

func inProduction(inngestURL string) map[string]string {
	return map[string]string{
		"INNGEST_EVENT_KEY": "event-key", "INNGEST_SIGNING_KEY": signingKey, "INNGEST_BASE_URL": inngestURL,
		"API_TOKEN": "0123456789abcdef", "MONGODB_URI": "mongodb://unused", "MAIL_HOST": "unused",
		"MAIL_FROM": "maintenance@plant.example", "APP_URL": "https://plant.example", "HOST": "127.0.0.1", "PORT": "0",
	}
}

func TestService_RequiresCredentialsInProduction(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	environ := inProduction(server.URL)
	environ["API_TOKEN_FALLBACK"] = "fedcba9876543210"
	url, _ := run(t, configure(t, environ), service.Deps{Store: memory(t), Mailer: newMailer(9)})

	status, _ := post(t, url+"/api/requests", draft)
	require.Equal(t, http.StatusUnauthorized, status)
	status, answer := post(t, url+"/api/requests", draft, "Authorization", "Bearer 0123456789abcdef")
	require.Equal(t, http.StatusCreated, status, answer)
	status, answer = post(t, url+"/api/requests", "{}", "Authorization", "Bearer fedcba9876543210")
	require.Equal(t, http.StatusBadRequest, status, answer)

	event := <-server.events
	status, _ = call(t, url, event)
	require.Equal(t, http.StatusUnauthorized, status, "an unsigned call is served")
	status, _ = call(t, url, event, "X-Inngest-Signature", "t=1&s=0")
	require.Equal(t, http.StatusUnauthorized, status, "a wrongly signed call is served")

	body := []byte(`{"event":{"name":"maintenance/request.created","data":{}},"events":[],"steps":{},"ctx":{"fn_id":"7e8f9a00-0000-4000-8000-000000000001","run_id":"01R"}}`)
	signature, err := inngestgo.Sign(t.Context(), time.Now(), []byte(signingKey), body)
	require.NoError(t, err)
	status, answer = post(t, url+"/api/inngest?fnId="+inngest.AppID+"-"+functions.SendRequestNotificationID, string(body), "X-Inngest-Signature", signature)
	require.Equal(t, http.StatusPartialContent, status, answer)
	require.Contains(t, answer, "data.requestId is not an id")
}

func TestService_LimitsRateOfToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		environ := inProduction("http://127.0.0.1:1")
		environ["API_RATE"] = "1"
		s, err := service.New(t.Context(), configure(t, environ), service.Deps{Store: memory(t), Mailer: newMailer(0)})
		require.NoError(t, err)
		for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
			r := httptest.NewRequest(http.MethodGet, "/api/requests", http.NoBody)
			r.Header.Set("Authorization", "Bearer "+environ["API_TOKEN"])
			answer := httptest.NewRecorder()
			s.Handler().ServeHTTP(answer, r)
			require.Equal(t, want, answer.Code)
		}
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestService_HandlerAndClose(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	var log bytes.Buffer
	s, err := service.New(t.Context(), configure(t, development(server)), service.Deps{
		Store: memory(t), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	serve := func(target string) int {
		answer := httptest.NewRecorder()
		s.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, target, nil))
		return answer.Code
	}
	require.Equal(t, http.StatusOK, serve("/readyz"))
	require.NoError(t, s.Close(t.Context()))
	require.Equal(t, http.StatusServiceUnavailable, serve("/readyz"))
	require.NoError(t, s.Close(t.Context()), "closed twice")
}

func TestNew_FailureLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	broken := func(inngestgo.Client, functions.Deps) (inngestgo.ServableFunction, error) {
		return nil, errors.New("broken")
	}
	_, err := service.New(t.Context(), configure(t, map[string]string{"INNGEST_DEV": "1"}),
		service.Deps{Store: memory(t), Functions: []functions.Function{broken}})
	require.EqualError(t, err, "create an Inngest function: broken")

	_, err = service.New(t.Context(), configure(t, map[string]string{
		"INNGEST_DEV": "1", "MONGODB_URI": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100",
	}), service.Deps{})
	require.ErrorContains(t, err, "database maintenance at 127.0.0.1:1 does not answer")
}

func TestListen_PortInUse(t *testing.T) {
	t.Parallel()
	c := configure(t, map[string]string{"INNGEST_DEV": "1", "PORT": "0"})
	l, err := service.Listen(t.Context(), c)
	require.NoError(t, err)
	defer l.Close()
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	require.NoError(t, json.Unmarshal([]byte(port), &c.Port))
	_, err = service.Listen(t.Context(), c)
	require.ErrorContains(t, err, "cannot listen (choose another PORT, or 0 for any free one): ")
}
