package simstack

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// mailbox is a mail server that takes everything and keeps it.
type mailbox struct {
	addr   string
	now    func() time.Time
	server *smtp.Server
	served chan error

	mu       sync.Mutex
	messages []*inbox.Message
}

// openMailbox listens on loopback. Messages are received at the time that now tells.
func openMailbox(now func() time.Time) (*mailbox, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a mailbox: %w", err)
	}
	m := &mailbox{addr: l.Addr().String(), now: now, served: make(chan error, 1)}
	m.server = smtp.NewServer(m)
	m.server.Domain = "localhost"
	m.server.ErrorLog = silent{}
	go func() { m.served <- m.server.Serve(l) }()
	return m, nil
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// all returns the messages in the order of their arrival.
func (m *mailbox) all() []*inbox.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.messages)
}

func (m *mailbox) close() error {
	err := m.server.Close()
	if served := <-m.served; err == nil && !errors.Is(served, smtp.ErrServerClosed) && !errors.Is(served, net.ErrClosed) {
		err = served
	}
	return err
}

// NewSession implements [smtp.Backend].
func (m *mailbox) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{mailbox: m, envelope: inbox.Envelope{Helo: c.Hostname()}}, nil
}

type session struct {
	mailbox  *mailbox
	envelope inbox.Envelope
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
