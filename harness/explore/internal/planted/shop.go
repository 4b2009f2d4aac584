package planted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/smtp"
	"net/textproto"
	"os"
	"sync"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// EnvScratch names the directory in which an app keeps its store. Unset: in memory.
const EnvScratch = "HARNESS_SCRATCH"

// storePath is where an app shows what its store holds, for an invariant.
const storePath = "/store"

const (
	appID     = "planted"
	kim       = "kim@planted.test"
	lee       = "lee@planted.test"
	office    = "office@planted.test"
	retries   = 4
	patience  = 30 * time.Second // with a server that does not answer
	completed = harness.StatusCompleted
)

// A shop is what the functions of an app work with.
type shop struct {
	env     harness.Env
	inngest inngestgo.Client
	store   *store

	mu      sync.Mutex
	begun   map[string]chan struct{} // the keys of once that are at work; closed at the end
	failure error                    // of on
}

// serve makes an app of functions, which are added with [on].
func serve(functions func(*shop)) stack.HandlerFunc { return serveWith(nil, functions) }

// serveCheckpointed makes an app whose steps are saved while a call goes on, so that a run without a failure is one call.
func serveCheckpointed(functions func(*shop)) stack.HandlerFunc {
	return serveWith(&checkpoint.Config{}, functions)
}

func serveWith(c *checkpoint.Config, functions func(*shop)) stack.HandlerFunc {
	return func(_ context.Context, env harness.Env) (http.Handler, error) {
		opened, err := openStore(os.Getenv(EnvScratch))
		if err != nil {
			return nil, err
		}
		client, err := inngestgo.NewClient(inngestgo.ClientOpts{
			AppID: appID, Dev: inngestgo.BoolPtr(true), EventKey: &env.EventKey, EventAPIBaseURL: &env.InngestURL,
			APIBaseURL: &env.InngestURL, RegisterURL: inngestgo.StrPtr(env.InngestURL + "/fn/register"),
			Logger: slog.New(slog.DiscardHandler), Checkpoint: c,
		})
		if err != nil {
			return nil, fmt.Errorf("make an Inngest client: %w", err)
		}
		s := &shop{env: env, inngest: client, store: opened, begun: map[string]chan struct{}{}}
		functions(s)
		if s.failure != nil {
			return nil, s.failure
		}
		mux := http.NewServeMux()
		mux.Handle(harness.DefaultAppPath, client.Serve())
		mux.HandleFunc("GET "+storePath, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(s.store.all()) // else the connection is gone
		})
		return mux, nil
	}
}

// on adds a function for an event with data of the type D.
func on[D any](s *shop, event, id string, f func(context.Context, inngestgo.Input[D]) (any, error)) {
	onTriggers(s, inngestgo.MultipleTriggers{inngestgo.EventTrigger(event, nil)}, inngestgo.FunctionOpts{ID: id}, f)
}

// onTriggers adds a function with options.
func onTriggers[D any](s *shop, t inngestgo.MultipleTriggers, o inngestgo.FunctionOpts, f func(context.Context, inngestgo.Input[D]) (any, error)) {
	o.Retries = inngestgo.IntPtr(retries)
	_, err := inngestgo.CreateFunction(s.inngest, o, t, f)
	s.failure = errors.Join(s.failure, err)
}

// run runs a step that returns nothing.
func run(ctx context.Context, id string, f func() error) error {
	_, err := step.Run(ctx, id, func(context.Context) (bool, error) { return true, f() })
	return err
}

// courtesy is how long an attempt waits for another one that is at the same work, before it fails and is retried.
const courtesy = 300 * time.Millisecond

// once does a piece of work, unless it has been done. It does not begin while another attempt is at work on it, which may be
// one that the server has given up; a process that was killed is at work on nothing.
//
// A crash between the work and the note of it makes the work be done again, which nothing can prevent.
func (s *shop) once(key string, work func() error) error {
	key = "done:" + key
	for {
		done, other := s.begin(key)
		if done {
			return nil
		}
		if other == nil {
			break
		}
		select {
		case <-other:
		case <-time.After(courtesy):
			return fmt.Errorf("another attempt is at work on %s", key)
		}
	}
	err := work()
	if err == nil {
		_ = s.store.put(key, "yes") // the work has been done, so a store that fails does not fail it
	}
	s.end(key)
	return err
}

// begin reports whether a work has been done. If another attempt is at it, other is closed when that ends; else this one is.
func (s *shop) begin(key string) (done bool, other <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store.get(key) != "" {
		return true, nil
	}
	if begun, ok := s.begun[key]; ok {
		return false, begun
	}
	s.begun[key] = make(chan struct{})
	return false, nil
}

func (s *shop) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.begun[key])
	delete(s.begun, key)
}

// A mail is an email of a run.
type mail struct {
	run, to, subject string
	id               string // the local part of its Message-ID
}

// send hands an email to the mail server. A permanent refusal is not to be tried again.
func (s *shop) send(m mail) error {
	err := s.deliver(m)
	if reply, ok := errors.AsType[*textproto.Error](err); ok && reply.Code >= 500 {
		return inngestgo.NoRetryError(err)
	}
	return err
}

func (s *shop) deliver(m mail) error {
	conn, err := net.DialTimeout("tcp", s.env.SMTPAddr, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, "planted.test")
	if err != nil {
		return err
	}
	if err := c.Mail("shop@planted.test"); err != nil {
		return err
	}
	if err := c.Rcpt(m.to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "From: shop@planted.test\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <%s@planted.test>\r\n%s: %s\r\n\r\n%[2]s.\r\n",
		m.to, m.subject, m.id, harness.DefaultRunHeader, m.run)
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // the email has been accepted
	return nil
}

// stored returns what the store of the app at env holds.
func stored(ctx context.Context, env harness.Env) (record, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+env.Addr+storePath, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	defer response.Body.Close()
	var r record
	return r, json.NewDecoder(response.Body).Decode(&r)
}
