package functions_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/inngest"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	sendTimeout  = 3 * time.Second
	technicianID = "65f000000000000000000a01"
	otherTechID  = "65f000000000000000000a02"
	requesterID  = "65f000000000000000000b01"
	equipmentID  = "65f000000000000000000e01"
)

var pace = app.Pace{
	DispatchLease: 10 * time.Second, RedispatchAfter: 8 * time.Minute, SendLease: functions.SendLease(sendTimeout),
}

// world is everything the function works with: a store, a mail server, and a stand-in for the Inngest server that
// plays its side of the protocol with the app's real handler.
type world struct {
	*testing.T
	memory  *storetest.Memory
	store   *faultyStore
	mail    *mailServer
	handler http.Handler
	saved   *savedSteps
	log     *lockedBuffer
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, memory: storetest.NewMemory(), mail: newMailServer(t), saved: newSavedSteps(t), log: &lockedBuffer{}}
	w.store = &faultyStore{Store: w.memory}
	require.NoError(t, w.memory.PutWorld(t.Context(), app.World{
		Users: []app.User{
			{ID: technicianID, Name: "Kim Larsen", Email: "kim@plant.test", Role: "technician"},
			{ID: otherTechID, Name: "Noor", Email: "noor@plant.test", Role: "technician"},
			{ID: requesterID, Name: "Lee Park", Email: "lee@plant.test", Role: "requester"},
		},
		Equipment: []app.Equipment{{ID: equipmentID, Name: "Press 4", Location: "Hall 2"}},
	}))

	client, handler, err := inngest.NewClient(t.Context(), inngest.Options{Dev: true, EventURL: w.saved.url, APIURL: w.saved.url})
	require.NoError(t, err)
	smtp, err := email.NewSMTP(email.SMTPOptions{Host: "127.0.0.1", Port: w.mail.port, Timeout: sendTimeout})
	require.NoError(t, err)
	base, err := url.Parse("https://plant.example")
	require.NoError(t, err)
	links, err := app.NewLinks(base, "", "an api token of some length")
	require.NoError(t, err)
	require.NoError(t, functions.Register(client, functions.Deps{
		Store: w.store, Mailer: smtp, Links: links, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
		From:     mail.Address{Name: "Maintenance", Address: "maintenance@plant.example"},
		TimeZone: time.UTC, SendTimeout: sendTimeout, Pace: pace,
	}, functions.All()...))
	w.handler = handler
	return w
}

// dispatched stores a request whose event the server has.
func (w *world) dispatched(change ...func(*app.Request)) app.Request {
	id := w.memory.NewID()
	r := app.Request{
		ID: id, Subject: "Belt torn", Type: app.Corrective, Priority: app.High, Description: "Since Tuesday.",
		EquipmentID: equipmentID, TechnicianID: technicianID, RequestedByID: requesterID,
		CreatedAt:    time.Now(),
		Notification: app.NewNotification(email.MessageID(id, "plant.example"), time.Now(), pace),
	}
	r.Notification, _ = r.Notification.Dispatch(1, time.Now(), pace)
	for _, c := range change {
		c(&r)
	}
	require.NoError(w, w.memory.CreateRequest(w.Context(), r))
	return r
}

func (w *world) notification(r app.Request) app.Notification {
	r, err := w.memory.Request(context.WithoutCancel(w.Context()), r.ID)
	require.NoError(w, err)
	return r.Notification
}

// faultyStore fails while a fault is set.
type faultyStore struct {
	app.Store
	mu   sync.Mutex
	read error
	save func(app.Notification) error
}

func (s *faultyStore) faults(read error, save func(app.Notification) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.save = read, save
}

func (s *faultyStore) Request(ctx context.Context, id string) (app.Request, error) {
	s.mu.Lock()
	err := s.read
	s.mu.Unlock()
	if err != nil {
		return app.Request{}, err
	}
	return s.Store.Request(ctx, id)
}

func (s *faultyStore) SaveNotification(ctx context.Context, id string, n app.Notification) error {
	s.mu.Lock()
	save := s.save
	s.mu.Unlock()
	if save != nil {
		if err := save(n); err != nil {
			return err
		}
	}
	return s.Store.SaveNotification(ctx, id, n)
}

// savedSteps is the API that checkpoints go to.
type savedSteps struct {
	url     string
	mu      sync.Mutex
	steps   map[string]map[string]json.RawMessage // by run, by hashed step id
	refused bool
}

func newSavedSteps(t *testing.T) *savedSteps {
	s := &savedSteps{steps: map[string]map[string]json.RawMessage{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			RunID string `json:"run_id"`
			Steps []opcode
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || !strings.HasPrefix(r.URL.Path, "/v1/checkpoint/") {
			t.Errorf("unexpected call %s: %v", r.URL, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.refused {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		for _, op := range body.Steps {
			s.save(body.RunID, op)
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// save is called with the lock held.
func (s *savedSteps) save(run string, op opcode) {
	if s.steps[run] == nil {
		s.steps[run] = map[string]json.RawMessage{}
	}
	saved, _ := json.Marshal(map[string]any{"data": op.Data})
	if op.Op == "StepFailed" {
		saved, _ = json.Marshal(map[string]any{"error": op.Error})
	}
	s.steps[run][op.ID] = saved
}

func (s *savedSteps) of(run string) map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	copied := map[string]json.RawMessage{}
	for id, data := range s.steps[run] {
		copied[id] = data
	}
	return copied
}

func (s *savedSteps) output(run, step string) string {
	sum := sha1.Sum([]byte(step))
	return string(s.of(run)[hex.EncodeToString(sum[:])])
}

type opcode struct {
	ID    string
	Op    string
	Data  json.RawMessage
	Error json.RawMessage
}

// reply is what one call came to.
type reply struct {
	status  int
	ops     []opcode
	body    string
	noRetry bool
	retryAt string
}

// call makes one call as the server does.
func (w *world) call(ctx context.Context, run, eventID string, data any, attempt int) reply {
	event := map[string]any{"id": eventID, "name": app.EventRequestCreated, "data": data, "ts": 1}
	body, err := json.Marshal(map[string]any{
		"event": event, "events": []any{event}, "steps": w.saved.of(run),
		"ctx": map[string]any{
			"fn_id": "7e8f9a00-0000-4000-8000-000000000001", "run_id": run, "attempt": attempt, "qi_id": "q",
			"stack": map[string]any{"stack": []string{}, "current": 0}, "max_attempts": 5,
		},
	})
	require.NoError(w, err)
	r := httptest.NewRequestWithContext(ctx, http.MethodPost,
		"/api/inngest?fnId="+inngest.AppID+"-"+functions.SendRequestNotificationID+"&stepId=step", bytes.NewReader(body))
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	got := reply{
		status: recorder.Code, body: recorder.Body.String(),
		noRetry: recorder.Header().Get("X-Inngest-No-Retry") == "true", retryAt: recorder.Header().Get("Retry-After"),
	}
	if got.status == http.StatusPartialContent {
		require.NoError(w, json.Unmarshal(recorder.Body.Bytes(), &got.ops))
	}
	return got
}

// result is what a whole run came to.
type result struct {
	completed bool
	delivery  functions.Delivery
	err       string
	calls     int
}

// run plays a whole run of an event, retries included, without waiting between attempts.
func (w *world) run(run, eventID string, data any) result {
	for attempt, calls := 0, 1; ; calls++ {
		require.Less(w, calls, 20, "the run never ends")
		got := w.call(w.Context(), run, eventID, data, attempt)
		switch {
		case got.status == http.StatusOK:
			res := result{completed: true, calls: calls}
			require.NoError(w, json.Unmarshal([]byte(got.body), &res.delivery))
			return res
		case got.status != http.StatusPartialContent && (got.noRetry || attempt == 4):
			return result{err: got.body, calls: calls}
		case got.status != http.StatusPartialContent:
			attempt++
		default:
			next := 0
			for _, op := range got.ops {
				if op.Op == "StepError" {
					next = attempt + 1
					continue
				}
				w.saved.mu.Lock()
				w.saved.save(run, op)
				w.saved.mu.Unlock()
			}
			attempt = next
		}
	}
}

// runOf plays a run of the app's own event for r.
func (w *world) runOf(r app.Request) result {
	event := r.Event()
	return w.run("01RUN"+r.ID, event.IdempotencyKey, event.Data)
}

// mailServer is a real SMTP server whose answers to a message are scripted.
type mailServer struct {
	port   int
	mu     sync.Mutex
	script []func() error
	mails  []received
}

type received struct{ to, message string }

func newMailServer(t *testing.T) *mailServer {
	m := &mailServer{}
	server := smtp.NewServer(m)
	server.Domain = "localhost"
	server.ErrorLog = discard{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m.port = l.Addr().(*net.TCPAddr).Port
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		_ = l.Close() // Close does not know a listener that Serve has not yet begun to serve
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("mail server: %v", err)
		}
	})
	return m
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// answers scripts the answers to the next messages; nil accepts. After the script everything is accepted.
func (m *mailServer) answers(script ...func() error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.script = script
}

func says(code int, text string) func() error {
	return func() error { return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: text} }
}

func (m *mailServer) received() []received {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]received{}, m.mails...)
}

func (m *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{server: m}, nil }

type session struct {
	server *mailServer
	to     string
}

func (s *session) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *session) Reset()                                    {}
func (s *session) Logout() error                             { return nil }

func (s *session) Data(r io.Reader) error {
	message, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	var answer func() error
	if len(s.server.script) > 0 {
		answer, s.server.script = s.server.script[0], s.server.script[1:]
	}
	s.server.mu.Unlock()
	if answer != nil {
		if err := answer(); err != nil {
			return err
		}
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, received{s.to, string(message)})
	return nil
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func requireContains(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		require.Contains(t, text, cmp.Or(part, "(nothing)"))
	}
}
