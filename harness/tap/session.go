package tap

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
)

// A session is one mail connection through the tap. It follows the dialogue one command and one reply at a time.
type session struct {
	tap      *smtpTap
	app      *appConn
	ehlo     []byte // the last EHLO line
	mailHog  bool   // the mail server is MailHog
	delivery delivery

	mu sync.Mutex // guards the writing of up, and its reading by other goroutines
	up *upstream  // nil until connected
}

var (
	errUnsolicited = errors.New("the mail server sent a reply without a command")
	errQuit        = errors.New("the session is over")
)

func newSession(t *smtpTap, conn net.Conn, number uint64) *session {
	s := &session{tap: t, delivery: delivery{set: t.set, connection: number}}
	s.app = &appConn{Conn: conn, in: bufio.NewReaderSize(conn, bufferSize), interrupted: func() error {
		switch {
		case s.up != nil && s.up.hasReply():
			return errUnsolicited
		case !s.delivery.open && t.isClosing():
			return errClosed
		}
		return nil
	}}
	return s
}

// run serves the connection until it is closed.
func (s *session) run() {
	s.delivery.begin()
	err := s.connect()
	for err == nil {
		err = s.handleCommand()
	}
	if errors.Is(err, errUnsolicited) {
		err = s.relayUnsolicited()
	}
	_ = s.app.Close()
	if s.up != nil {
		s.up.close()
	}
	switch {
	case errors.Is(err, io.EOF) && s.delivery.open:
		err = errors.New("the app hung up in the middle of a delivery" + s.delivery.unended())
	case errors.Is(err, io.EOF), errors.Is(err, errQuit):
		err = nil
	}
	s.delivery.end(err)
}

// abort closes both connections, which ends run. Any goroutine may call it.
func (s *session) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.app.Close()
	if s.up != nil {
		_ = s.up.conn.Close()
	}
}

// connect connects to the mail server and relays its banner.
func (s *session) connect() error {
	i, err := s.apply(moment{at: AtConnect})
	if err != nil {
		s.app.resetOnClose()
		return err
	}
	if i != nil {
		if i.fault.Do == Drop {
			s.app.resetOnClose()
		}
		if err := s.perform(i); err != nil {
			return err
		}
		return s.refuse()
	}
	if err := s.dial(); err != nil {
		s.app.resetOnClose()
		return err
	}
	banner, err := s.up.awaitReply(s.tap.context, nil, s.app.gone)
	if err != nil {
		return err
	}
	s.mailHog = bytes.Contains(banner.raw, []byte("MailHog"))
	s.delivery.server = banner.text()
	s.delivery.update(func(m *harness.MailTransaction) { m.Server = s.delivery.server })
	return s.relayReply(AtConnect, banner)
}

// refuse answers every command with 503 until QUIT, as RFC 5321 asks of a server whose banner refused service.
func (s *session) refuse() error {
	for {
		line, err := s.app.readLine()
		if err != nil {
			return err
		}
		s.delivery.note("app", redactCommand(line))
		if verb(line) == "QUIT" {
			return errors.Join(s.write("tap", []byte("221 Bye\r\n")), errQuit)
		}
		if err := s.write("tap", []byte("503 No service here\r\n")); err != nil {
			return err
		}
	}
}

func (s *session) dial() error {
	up, err := dialMail(s.tap.context, *s.tap.target.Load(), s.app.interrupt)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up = up
	return nil
}

// redial replaces the connection to the mail server, which waits for the end of a message that is not to be passed on.
func (s *session) redial() error {
	s.up.close()
	if err := s.dial(); err != nil {
		return err
	}
	if _, err := s.up.awaitReply(s.tap.context, nil, nil); err != nil {
		return err
	}
	if s.ehlo == nil {
		return nil
	}
	_, err := s.request(s.ehlo)
	return err
}

// handleCommand reads one command, relays it, and relays the reply.
func (s *session) handleCommand() error {
	line, err := s.app.readLine()
	if errors.Is(err, errUnsolicited) {
		return s.relayUnsolicited()
	}
	if err != nil {
		return err
	}
	v := verb(line)
	if v == "MAIL" {
		s.delivery.next()
	}
	said := redactCommand(line)
	if s.app.lf {
		said += " (the line ends in LF alone)"
	}
	s.delivery.note("app", said)
	switch v {
	case "MAIL":
		return s.mail(line)
	case "RCPT":
		return s.rcpt(line)
	case "DATA":
		return s.data(line)
	case "STARTTLS":
		return s.startTLS(line)
	case "BDAT":
		return s.chunk(line)
	case "EHLO", "HELO":
		s.ehlo = line
	}
	r, passed, err := s.relay(verbs[v], line)
	if err == nil && passed && v == "RSET" && r.positive() && s.delivery.mailed {
		s.delivery.end(nil)
	}
	return err
}

// relay passes a command on and its reply back, with the faults on either side. passed is false when a fault answered in
// place of the mail server.
func (s *session) relay(at Point, line []byte, to ...string) (_ reply, passed bool, err error) {
	i, err := s.apply(moment{at: at, to: to})
	if err != nil {
		return reply{}, false, err
	}
	if i != nil {
		return reply{}, false, s.perform(i)
	}
	r, err := s.requestPath(at, line)
	for err == nil && at == AtAUTH && r.code == 334 {
		r, err = s.relayCredentials(r)
	}
	if err != nil {
		return r, true, err
	}
	if at == AtEHLO && r.positive() && s.tap.set.faults.armedAt(AtSTARTTLS) {
		r = offerSTARTTLS(r)
	}
	if r.code >= 500 {
		s.delivery.refusedAfter(redactCommand(line), r)
	}
	return r, true, s.relayReply(at, r, to...)
}

// relayCredentials passes a challenge back and the app's response on, and records neither.
func (s *session) relayCredentials(challenge reply) (reply, error) {
	s.delivery.note("server", "334 ***")
	if _, err := s.app.Write(challenge.raw); err != nil {
		return reply{}, err
	}
	line, err := s.app.readLine()
	if err != nil {
		return reply{}, err
	}
	s.delivery.note("app", "***")
	return s.request(line)
}

// relayReply passes a reply back, unless a fault prevents it.
func (s *session) relayReply(at Point, r reply, to ...string) error {
	if err := s.applyToReply(at, to...); err != nil {
		return err
	}
	return s.write("server", r.raw)
}

// relayUnsolicited passes back a reply that the mail server sent without a command, for example before it shuts down.
func (s *session) relayUnsolicited() error {
	r, err := s.up.awaitReply(s.tap.context, nil, nil)
	if err != nil {
		return err
	}
	return s.write("server", r.raw)
}

// request sends a command to the mail server and waits for the reply. It gives up when the app closes its connection:
// no message is under way that the server might accept.
func (s *session) request(line []byte) (reply, error) {
	if err := s.up.send(line); err != nil {
		return reply{}, err
	}
	return s.up.awaitReply(s.tap.context, nil, s.app.gone)
}

// requestPath is request for a command that may have a path. MailHog gets the path in a form that it can read.
func (s *session) requestPath(at Point, line []byte) (reply, error) {
	p := path(line)
	sent := p
	switch {
	case !s.mailHog || at != AtMAIL && at != AtRCPT:
		return s.request(line)
	case at == AtMAIL && bytes.Contains(line, []byte("<>")), strings.HasPrefix(p, `"`):
		sent = address.Encode(p)
	case p == "" || bytes.Contains(line, []byte("<")):
		return s.request(line)
	}
	command, _, _ := bytes.Cut(line, []byte(":"))
	r, err := s.request(fmt.Appendf(nil, "%s:<%s>\r\n", command, sent))
	r.raw = bytes.ReplaceAll(r.raw, []byte(sent), []byte(p))
	return r, err
}

// write sends a reply to the app.
func (s *session) write(by string, raw []byte) error {
	s.delivery.note(by, reply{raw: raw}.lines()...)
	_, err := s.app.Write(raw)
	return err
}

// writeLast sends the reply that ends the delivery. The record comes first, so the effect of a reply is never visible
// before its record.
func (s *session) writeLast(by string, raw []byte) error {
	s.delivery.note(by, reply{raw: raw}.lines()...)
	s.delivery.end(nil)
	_, err := s.app.Write(raw)
	return err
}

// apply lets faults act at a moment; see [recorder.apply].
func (s *session) apply(m moment) (*Injection, error) {
	return s.delivery.recorder().apply(s.tap.context, s.app.gone, m)
}

// applyToReply lets faults act on a reply. After an error it must not be passed back.
func (s *session) applyToReply(at Point, to ...string) error {
	i, err := s.apply(moment{at: at, answer: true, to: to})
	if err == nil && i != nil {
		err = cut(i)
	}
	return err
}

// perform carries out a fault that acts instead of passing something on.
func (s *session) perform(i *Injection) error {
	switch i.fault.Do {
	case Reply:
		return s.writeFault(i.fault)
	case Lose:
		return errors.Join(cut(i), s.app.discard(s.tap.isClosing))
	}
	return cut(i)
}

// writeFault sends the reply of a fault to the app.
func (s *session) writeFault(f Fault) error {
	write := s.write
	if f.At == AtDot {
		write = s.writeLast
	}
	if err := write("tap", fmt.Appendf(nil, "%d %s\r\n", f.Code, cmp.Or(f.Text, "Scripted fault"))); err != nil {
		return err
	}
	if f.Code == 421 {
		return errQuit
	}
	return nil
}

func (s *session) mail(line []byte) error {
	s.delivery.update(func(m *harness.MailTransaction) { m.From = path(line) })
	r, passed, err := s.relay(AtMAIL, line)
	if passed && r.positive() {
		s.delivery.open, s.delivery.from = true, path(line)
	}
	return err
}

func (s *session) rcpt(line []byte) error {
	to := path(line)
	r, passed, err := s.relay(AtRCPT, line, to)
	accepted := passed && r.positive()
	s.delivery.denied = s.delivery.denied || !passed
	if accepted {
		s.delivery.to = append(s.delivery.to, to)
	}
	s.delivery.update(func(m *harness.MailTransaction) {
		if accepted {
			m.To = append(m.To, to)
		} else {
			m.Refused = append(m.Refused, to)
		}
	})
	if accepted && len(s.delivery.to) == 1 {
		// From now on the app can deliver the email, whatever becomes of the call in which it began to.
		s.delivery.recorder().publish(func(*Exchange) {})
	}
	return err
}

// startTLS relays the command. Once the server has agreed, the tap passes on bytes that it cannot read.
func (s *session) startTLS(line []byte) error {
	i, err := s.apply(moment{at: AtSTARTTLS})
	if err != nil {
		return err
	}
	if i != nil {
		return s.perform(i)
	}
	if err := s.up.send(line); err != nil {
		return err
	}
	granted := func(r reply) bool { return r.code == 220 }
	r, err := s.up.awaitReply(s.tap.context, granted, s.app.gone)
	if err != nil {
		return err
	}
	if err := s.write("server", r.raw); err != nil || !granted(r) {
		return err
	}
	s.delivery.recorder().publish(func(x *Exchange) { x.Mail.TLS = true })
	_ = s.app.SetReadDeadline(time.Time{})
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(s.app.Conn, s.up.in)
		_ = s.app.Close()
	})
	_, _ = io.Copy(s.up.conn, s.app.in)
	_ = s.up.conn.Close()
	back.Wait()
	return errQuit
}

// data relays a message and what ends it.
func (s *session) data(line []byte) error {
	if len(s.delivery.to) == 0 && s.delivery.denied {
		// MailHog would accept a message without recipients. The mail server that the faults stand for does not.
		return s.write("tap", []byte("503 No valid recipients\r\n"))
	}
	r, passed, err := s.relay(AtDATA, line, s.delivery.to...)
	if err != nil || !passed || r.code != 354 {
		return err
	}
	m := &message{session: s}
	if err := m.relay(); err != nil {
		return err
	}
	return s.dot()
}

// dot relays the line that ends a message. With its reply the mail server accepts the message or refuses it.
func (s *session) dot() error {
	i, err := s.apply(moment{at: AtDot, to: s.delivery.to})
	if err != nil {
		return err
	}
	if i != nil {
		if i.fault.Do == Reply {
			if err := s.redial(); err != nil {
				return err
			}
		}
		return s.perform(i)
	}
	end := terminator
	if s.mailHog && s.delivery.size == 0 {
		end = ending // it does not find the end of an empty message otherwise
	}
	answered := s.tap.set.envelopes.begin()
	err = s.up.send([]byte(end))
	var r reply
	if err == nil {
		// The reply matters also when the app has hung up.
		r, err = s.up.awaitReply(s.tap.context, nil, nil)
	}
	answered(r, s.envelope())
	if err != nil {
		return err
	}
	return s.relayAcceptance(r)
}

// envelope is that of the message that is being delivered.
func (s *session) envelope() (e harness.Envelope) {
	e = harness.Envelope{From: s.delivery.from, To: s.delivery.to}
	if words := strings.Fields(string(s.ehlo)); len(words) > 1 {
		e.Helo = words[1]
	}
	return e
}

// relayAcceptance passes back the reply to a whole message.
func (s *session) relayAcceptance(r reply) error {
	if r.positive() {
		s.delivery.update(func(m *harness.MailTransaction) { m.Accepted, m.AcceptedAt = true, time.Now() })
	}
	if err := s.applyToReply(AtDot, s.delivery.to...); err != nil {
		return err
	}
	s.delivery.update(func(m *harness.MailTransaction) { m.Reported = m.Accepted })
	return s.writeLast("server", r.raw)
}

// chunk relays a BDAT command (RFC 3030) with the piece of the message whose size it gives. Faults can act only on the
// reply to the last piece.
func (s *session) chunk(line []byte) error {
	var size int64
	var last string
	if n, _ := fmt.Sscanf(strings.ToUpper(string(line)), "BDAT %d %s", &size, &last); n == 0 || size < 0 {
		_, _, err := s.relay("", line)
		return err
	}
	_ = s.app.SetReadDeadline(time.Time{})
	if err := s.up.send(line); err != nil {
		return err
	}
	if _, err := io.CopyN(s.up.conn, io.TeeReader(s.app.in, &s.delivery.header), size); err != nil {
		return fmt.Errorf("pass a message on: %w", err)
	}
	s.delivery.size += size
	s.delivery.noteMessage()
	r, err := s.up.awaitReply(s.tap.context, nil, nil)
	if err != nil {
		return err
	}
	if last == "LAST" {
		return s.relayAcceptance(r)
	}
	return s.write("server", r.raw)
}
