package backendtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// An env is a stack that runs the suite's app.
type env struct{ *stack.Stack }

// usable returns nil when a server answers as its kind does.
func (s *env) usable(ctx context.Context, server harness.Service) error {
	ends := s.Endpoints()
	switch server {
	case harness.ServiceMongo:
		_, err := endpoint.Mongo(ctx, ends.Mongo)
		return err
	case harness.ServiceMailHog:
		return errors.Join(endpoint.Mail(ctx, s.Options().MailCatcher, ends.MailHog), endpoint.SMTP(ctx, ends.SMTP))
	default:
		return endpoint.Inngest(ctx, ends.Inngest)
	}
}

func (s *env) checkUsable(t *testing.T) {
	t.Helper()
	for _, server := range servers {
		require.NoError(t, s.usable(t.Context(), server), "%s", server)
	}
}

const (
	// frozenTime is how long a server does not answer until the suite considers it frozen.
	frozenTime = 300 * time.Millisecond
	// freezeTime bounds the wait for that: a process may go on for a moment after a signal to stop.
	freezeTime = 10 * time.Second
)

// requireFrozen waits until a server accepts connections and then does nothing.
func (s *env) requireFrozen(t *testing.T, server harness.Service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), freezeTime)
	defer cancel()
	require.NoError(t, poll.Until(ctx, time.Millisecond, func(ctx context.Context) error {
		conn, err := net.Dial("tcp", s.address(server))
		require.NoError(t, err)
		conn.Close()
		ctx, cancel := context.WithTimeout(ctx, frozenTime)
		defer cancel()
		if err := s.usable(ctx, server); err == nil || ctx.Err() == nil {
			return fmt.Errorf("%s still answers (%v)", server, err)
		}
		return nil
	}))
}

// address is where a server accepts connections.
func (s *env) address(server harness.Service) string {
	ends := s.Endpoints()
	switch server {
	case harness.ServiceMongo:
		addr, _, _ := strings.Cut(strings.TrimPrefix(ends.Mongo, "mongodb://"), "/")
		return addr
	case harness.ServiceMailHog:
		return ends.SMTP
	default:
		return strings.TrimPrefix(ends.Inngest, "http://")
	}
}

// functions are the ids of the functions that the Inngest server knows.
func (s *env) functions(t *testing.T) []string {
	t.Helper()
	functions, err := s.API().Functions(t.Context())
	require.NoError(t, err)
	var ids []string
	for _, f := range functions {
		ids = append(ids, f.ID)
	}
	return ids
}

// eventToEmail sends an event and waits for the email that the app's function sends on it.
func (s *env) eventToEmail(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hopTime)
	defer cancel()
	to := strings.ToLower(rand.Text()) + "@backend.test"
	_, err := s.Send(ctx, harness.Event{Name: eventName, Data: greeting{To: to}})
	require.NoError(t, err)
	m, err := s.Inbox().Wait(ctx, inbox.Filter{To: to})
	require.NoError(t, err, "the end of Inngest's log:\n%s", strings.Join(s.Tail(harness.ServiceInngest), "\n"))
	require.Equal(t, "Hello", m.Subject)
}

// checkConcurrentControl stops, kills, starts and looks at the mail catcher from several goroutines.
func (s *env) checkConcurrentControl(t *testing.T) {
	t.Helper()
	before := s.Endpoints()
	var all sync.WaitGroup
	for _, do := range []func() error{
		func() error { return s.Stop(t.Context(), harness.ServiceMailHog) },
		func() error { return s.Kill(t.Context(), harness.ServiceMailHog) },
		func() error { return s.Start(t.Context(), harness.ServiceMailHog) },
		func() error { return s.Start(t.Context(), harness.ServiceMailHog) },
		func() error { s.Tail(harness.ServiceMailHog); s.Describe(); return nil },
	} {
		all.Go(func() {
			for range 3 {
				assert.NoError(t, do())
			}
		})
	}
	all.Wait()
	require.NoError(t, s.Start(t.Context(), harness.ServiceMailHog))
	require.Equal(t, before, s.Endpoints())
	require.NoError(t, s.usable(t.Context(), harness.ServiceMailHog))
}

func (s *env) checkLogs(t *testing.T) {
	t.Helper()
	for _, i := range s.Describe() {
		if i.Service == harness.ServiceMongo {
			require.FileExists(t, i.LogFile) // the stand-in has little to say
			continue
		}
		tail := s.Tail(i.Service)
		require.NotEmpty(t, tail, "tail of %s", i.Service)
		text, err := os.ReadFile(i.LogFile)
		require.NoError(t, err)
		require.Contains(t, string(text), tail[0])
	}
}
