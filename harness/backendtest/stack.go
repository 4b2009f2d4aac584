package backendtest

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
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
		return errors.Join(endpoint.MailHog(ctx, ends.MailHog), endpoint.SMTP(ctx, ends.SMTP))
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
	// frozenTime is how long a server does nothing for the suite to take it for frozen.
	frozenTime = 300 * time.Millisecond
	// freezeTime is how long it may take until it is: a signal to stop is not obeyed within the call.
	freezeTime = 10 * time.Second
)

// frozen says whether a server takes connections and then does nothing.
func (s *env) frozen(t *testing.T, server harness.Service) bool {
	t.Helper()
	addr := s.address(server)
	for deadline := time.Now().Add(freezeTime); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), frozenTime)
		err = s.usable(ctx, server)
		silent := err != nil && ctx.Err() != nil
		cancel()
		if silent {
			return true
		}
	}
	return false
}

// address is where a server takes connections.
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
	info, err := s.API().Info(t.Context())
	require.NoError(t, err)
	var ids []string
	for _, f := range info.Functions {
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
