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
)

// stack is a stack that runs the suite's app.
type stack struct{ *harness.Stack }

// usable returns nil when a server answers as its kind does.
func (s *stack) usable(ctx context.Context, server harness.Service) error {
	ends := s.Endpoints()
	switch server {
	case harness.Mongo:
		_, err := endpoint.Mongo(ctx, ends.Mongo)
		return err
	case harness.MailHog:
		return errors.Join(endpoint.MailHog(ctx, ends.MailHog), endpoint.SMTP(ctx, ends.SMTP))
	default:
		return endpoint.Inngest(ctx, ends.Inngest)
	}
}

func (s *stack) checkUsable(t *testing.T) {
	t.Helper()
	for _, server := range servers {
		require.NoError(t, s.usable(t.Context(), server), "%s", server)
	}
}

// frozenTime is how long a server is given to show that it is not frozen.
const frozenTime = 300 * time.Millisecond

// frozen says whether a server takes a connection and then does nothing.
func (s *stack) frozen(t *testing.T, server harness.Service) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), frozenTime)
	defer cancel()
	ends := s.Endpoints()
	addr := map[harness.Service]string{
		harness.Mongo:   strings.TrimSuffix(strings.TrimPrefix(ends.Mongo, "mongodb://"), "/?directConnection=true"),
		harness.MailHog: ends.SMTP,
		harness.Inngest: strings.TrimPrefix(ends.Inngest, "http://"),
	}[server]
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	return errors.Is(s.usable(ctx, server), context.DeadlineExceeded) || ctx.Err() != nil
}

// functions are the ids of the functions that the Inngest server knows.
func (s *stack) functions(t *testing.T) []string {
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
func (s *stack) eventToEmail(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hopTime)
	defer cancel()
	to := strings.ToLower(rand.Text()) + "@backend.test"
	_, err := s.Send(ctx, harness.Event{Name: eventName, Data: greeting{To: to}})
	require.NoError(t, err)
	m, err := s.Inbox().Wait(ctx, inbox.Filter{To: to})
	require.NoError(t, err)
	require.Equal(t, "Hello", m.Subject)
}

func (s *stack) checkLogs(t *testing.T) {
	t.Helper()
	for _, i := range s.Describe() {
		if i.Service == harness.Mongo {
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
