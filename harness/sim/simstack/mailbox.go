package simstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// mailbox is a mail server that accepts everything and keeps it. It implements [follow.Inbox].
type mailbox struct {
	addr      string
	now       func() time.Time
	runHeader string
	server    *smtp.Server
	served    chan error

	mu       sync.Mutex
	messages []*harness.Message
}

// openMailbox listens on loopback. now returns the time at which a message is received.
func openMailbox(now func() time.Time, runHeader string) (*mailbox, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a mailbox: %w", err)
	}
	m := &mailbox{addr: l.Addr().String(), now: now, runHeader: runHeader, served: make(chan error, 1)}
	m.server = smtp.NewServer(m)
	m.server.Domain = "localhost"
	m.server.MaxLineLength = 0 // as MailHog, it takes lines of any length
	m.server.AllowInsecureAuth = true
	m.server.ErrorLog = log.New(io.Discard, "", 0)
	go func() { m.served <- m.server.Serve(l) }()
	return m, nil
}

// Find returns the messages that match a filter, in the order of their arrival.
func (m *mailbox) Find(_ context.Context, f inbox.Filter) ([]*harness.Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []*harness.Message
	for _, msg := range m.messages {
		if f.Matches(msg, m.runHeader) {
			found = append(found, msg)
		}
	}
	return found, nil
}

// Watch yields nothing: a Workbench reads its mailbox when the Sim has nothing left to do.
func (m *mailbox) Watch(context.Context, inbox.Filter) iter.Seq2[*harness.Message, error] {
	return func(func(*harness.Message, error) bool) {}
}

// ReadToEnd returns at once: an accepted message is known.
func (m *mailbox) ReadToEnd(context.Context) error { return nil }

func (m *mailbox) close() error {
	err := m.server.Close()
	if served := <-m.served; err == nil && !errors.Is(served, smtp.ErrServerClosed) && !errors.Is(served, net.ErrClosed) {
		err = served
	}
	return err
}

// NewSession implements [smtp.Backend].
func (m *mailbox) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{mailbox: m, envelope: harness.Envelope{Helo: c.Hostname()}}, nil
}

type session struct {
	mailbox  *mailbox
	envelope harness.Envelope
}

// AuthMechanisms implements [smtp.AuthSession], with what MailHog offers. Any credentials will do.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements [smtp.AuthSession].
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if mechanism != sasl.Plain {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(_, _, _ string) error { return nil }), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.envelope.From = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.envelope.To = append(s.envelope.To, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	msg := inbox.Decode(raw)
	msg.Envelope = s.envelope
	m := s.mailbox
	m.mu.Lock()
	defer m.mu.Unlock()
	msg.ID, msg.Received = fmt.Sprintf("%d", len(m.messages)+1), m.now()
	m.messages = append(m.messages, msg)
	return nil
}

func (s *session) Reset()        { s.envelope.From, s.envelope.To = "", nil }
func (s *session) Logout() error { return nil }
