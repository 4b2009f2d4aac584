package tap

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A session is one mail connection through the tap.
type session struct {
	tap    *smtpTap
	number uint64
	app    net.Conn
	in     *bufio.Reader
	line   []byte // the part of a command line that has been read
	ehlo   []byte // the last EHLO line

	mu sync.Mutex
	up *upstream // nil until connected

	// The delivery under way. x is nil between the end of one and the MAIL of the next.
	x      *recorder
	mailed bool // MAIL has been said
	inMail bool // and accepted
	to     []string
	header headerReader
}

var (
	errUnsolicited = errors.New("the mail server spoke")
	errQuit        = errors.New("the session is over")
	errTooLong     = errors.New("a command line that does not end")
)

// messageBuffer is the size of the pieces in which a message passes.
const messageBuffer = 32 << 10

// maxLine bounds a command line, in bytes.
const maxLine = 1 << 20

func newSession(t *smtpTap, conn net.Conn, number uint64) *session {
	return &session{tap: t, number: number, app: conn, in: bufio.NewReaderSize(conn, messageBuffer)}
}

// run takes a connection from its first moment to its last.
func (s *session) run() {
	s.begin()
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
	case errors.Is(err, io.EOF) && s.inMail:
		err = errors.New("the app hung up in the middle of a delivery")
	case errors.Is(err, io.EOF), errors.Is(err, errQuit):
		err = nil
	}
	s.end(err)
}

// kick interrupts a read from the app, which then looks around.
func (s *session) kick() { _ = s.app.SetReadDeadline(time.Unix(1, 0)) }

// cutOff ends the session from outside.
func (s *session) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.app.Close()
	if s.up != nil {
		_ = s.up.conn.Close()
	}
}

// begin starts the record of a delivery.
func (s *session) begin() {
	s.x = s.tap.set.begin(AppToMail)
	s.x.publish(func(c *Exchange) { c.Mail = &harness.MailTransaction{Connection: s.number} })
}

// next starts the record of another delivery, unless the one under way has no sender yet.
func (s *session) next() {
	if s.mailed && !s.inMail {
		s.end(nil)
	}
	if s.x == nil {
		s.begin()
	}
	s.mailed = true
}

// end ends the record of the delivery, if there is one.
func (s *session) end(err error) {
	if s.x != nil {
		s.x.end(err)
	}
	s.x, s.mailed, s.inMail, s.to, s.header = nil, false, false, nil, headerReader{}
}

// record changes the record of the delivery under way.
func (s *session) record(change func(*harness.MailTransaction)) {
	if s.x != nil {
		s.x.update(func(c *Exchange) { change(c.Mail) })
	}
}

const (
	maxDialogue     = 200
	maxDialogueLine = 512
)

func (s *session) note(by string, lines ...string) {
	s.record(func(m *harness.MailTransaction) {
		for _, text := range lines {
			if len(m.Dialogue) < maxDialogue {
				m.Dialogue = append(m.Dialogue, harness.SMTPLine{At: time.Now(), By: by, Text: strings.ToValidUTF8(text[:min(len(text), maxDialogueLine)], "?")})
			}
		}
	})
}

// apply lets faults act at a point.
func (s *session) apply(m moment) (*Injection, error) {
	x := s.x
	if x == nil { // between two deliveries: what acts here belongs to no record
		x = &recorder{set: s.tap.set, exchange: Exchange{Ended: time.Now()}}
	}
	return x.apply(s.tap.context, s.gone, m)
}

// gone looks whether the app has hung up.
func (s *session) gone() bool {
	if s.in.Buffered() > 0 {
		return false
	}
	_ = s.app.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := s.in.Peek(1)
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// connect opens the connection to the mail server and passes its banner on.
func (s *session) connect() error {
	i, err := s.apply(moment{at: AtConnect})
	if err != nil {
		s.reset()
		return err
	}
	if i != nil {
		if i.fault.Do == Drop {
			s.reset()
		}
		if err := s.perform(i); err != nil {
			return err
		}
		return s.serveRefusal()
	}
	if err := s.dial(); err != nil {
		s.reset()
		return err
	}
	banner, err := s.up.awaitReply(s.tap.context, nil, s.gone)
	if err != nil {
		return err
	}
	return s.relayReply(AtConnect, banner)
}

// reset makes the end of the connection look like a refusal rather than like a farewell.
func (s *session) reset() {
	if c, ok := s.app.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
}

// refuse is what a server does whose banner was not a welcome: it waits for QUIT.
func (s *session) serveRefusal() error {
	for {
		line, err := s.readLine()
		if err != nil {
			return err
		}
		s.note("app", redactCommand(line))
		if verb(line) == "QUIT" {
			return errors.Join(s.write("tap", []byte("221 Bye\r\n")), errQuit)
		}
		if err := s.write("tap", []byte("503 No service here\r\n")); err != nil {
			return err
		}
	}
}

func (s *session) dial() error {
	up, err := dialMail(s.tap.context, *s.tap.target.Load(), s.kick)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up = up
	return nil
}

// redial gives the app a fresh connection to the mail server, in the place of one that waits for the rest of a
// message which is not to be passed on.
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

// step passes on one command and its reply.
func (s *session) handleCommand() error {
	line, err := s.readLine()
	if errors.Is(err, errUnsolicited) {
		return s.relayUnsolicited()
	}
	if err != nil {
		return err
	}
	v := verb(line)
	if v == "MAIL" {
		s.next()
	}
	s.note("app", redactCommand(line))
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
	if err == nil && passed && v == "RSET" && r.positive() && s.mailed {
		s.end(nil)
	}
	return err
}

// readLine reads a command line. It fails with errSpoke when the mail server says something meanwhile.
func (s *session) readLine() ([]byte, error) {
	for len(s.line) < maxLine {
		if err := s.listen(); err != nil {
			return nil, err
		}
		piece, err := s.in.ReadSlice('\n')
		s.line = append(s.line, piece...)
		switch {
		case err == nil:
			line := s.line
			s.line = nil
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull), errors.Is(err, os.ErrDeadlineExceeded):
		default:
			return nil, err
		}
	}
	return nil, errTooLong
}

// listen prepares for a read from the app that a kick can interrupt. What a kick tells of is looked for after the
// deadline has been cleared, so none is missed.
func (s *session) listen() error {
	_ = s.app.SetReadDeadline(time.Time{})
	if s.up != nil && s.up.hasReply() {
		return errUnsolicited
	}
	if !s.inMail && s.tap.isClosing() {
		return errClosed
	}
	return nil
}

// unasked passes on what the mail server says without having been asked, such as that it shuts down.
func (s *session) relayUnsolicited() error {
	r, err := s.up.awaitReply(s.tap.context, nil, nil)
	if err != nil {
		return err
	}
	return s.write("server", r.raw)
}

// say tells the app something.
func (s *session) write(by string, raw []byte) error {
	s.note(by, reply{raw: raw}.lines()...)
	_, err := s.app.Write(raw)
	return err
}

// sayLast tells the app what ends its delivery. The record comes first, so that whoever has seen the effect of a reply
// finds it recorded.
func (s *session) writeLast(by string, raw []byte) error {
	s.note(by, reply{raw: raw}.lines()...)
	s.end(nil)
	_, err := s.app.Write(raw)
	return err
}

// ask passes a line on and waits for the reply, as long as the app does: with no message on its way it is of no
// consequence once the app has hung up.
func (s *session) request(line []byte) (reply, error) {
	if _, err := s.up.conn.Write(line); err != nil {
		return reply{}, fmt.Errorf("speak to the mail server: %w", err)
	}
	return s.up.awaitReply(s.tap.context, nil, s.gone)
}

// command passes a command on, and the reply back, with the faults on either side. passed is false when a fault
// answered in the mail server's place.
func (s *session) relay(at Point, line []byte, to ...string) (_ reply, passed bool, err error) {
	i, err := s.apply(moment{at: at, to: to})
	if err != nil {
		return reply{}, false, err
	}
	if i != nil {
		return reply{}, false, s.perform(i)
	}
	r, err := s.request(line)
	for err == nil && at == AtAUTH && r.code == 334 {
		r, err = s.relayCredentials(r)
	}
	if err != nil {
		return r, true, err
	}
	if at == AtEHLO && r.positive() && s.tap.set.faults.armedAt(AtSTARTTLS) {
		r = offerSTARTTLS(r)
	}
	return r, true, s.relayReply(at, r, to...)
}

// credentials passes a challenge on and its response back, and keeps neither.
func (s *session) relayCredentials(challenge reply) (reply, error) {
	s.note("server", "334 ***")
	if _, err := s.app.Write(challenge.raw); err != nil {
		return reply{}, err
	}
	line, err := s.readLine()
	if err != nil {
		return reply{}, err
	}
	s.note("app", "***")
	return s.request(line)
}

// answer passes a reply back, unless a fault is against it.
func (s *session) relayReply(at Point, r reply, to ...string) error {
	if err := s.applyToReply(at, to...); err != nil {
		return err
	}
	return s.write("server", r.raw)
}

// hold lets faults act on a reply before it is passed back.
func (s *session) applyToReply(at Point, to ...string) error {
	i, err := s.apply(moment{at: at, answer: true, to: to})
	if err == nil && i != nil {
		err = cut(i)
	}
	return err
}

// instead does what a fault does in the place of passing something on.
func (s *session) perform(i *Injection) error {
	switch i.fault.Do {
	case Reply:
		return s.sendFaultReply(i.fault, s.write)
	case Lose:
		return errors.Join(cut(i), s.ignore())
	}
	return cut(i)
}

// reply answers in the mail server's place.
func (s *session) sendFaultReply(f Fault, say func(by string, raw []byte) error) error {
	text := cmp.Or(f.Text, "Scripted fault")
	if err := say("tap", fmt.Appendf(nil, "%d %s\r\n", f.Code, text)); err != nil {
		return err
	}
	if f.Code == 421 {
		return errQuit
	}
	return nil
}

// ignore reads what the app says, and does not care, until it gives up.
func (s *session) ignore() error {
	for {
		_ = s.app.SetReadDeadline(time.Time{})
		if s.tap.isClosing() {
			return errClosed
		}
		if _, err := io.Copy(io.Discard, s.in); !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
	}
}

func (s *session) mail(line []byte) error {
	s.record(func(m *harness.MailTransaction) { m.From = path(line) })
	r, passed, err := s.relay(AtMAIL, line)
	if passed && r.positive() {
		s.inMail = true
	}
	return err
}

func (s *session) rcpt(line []byte) error {
	to := path(line)
	r, passed, err := s.relay(AtRCPT, line, to)
	accepted := passed && r.positive()
	if accepted {
		s.to = append(s.to, to)
	}
	s.record(func(m *harness.MailTransaction) {
		if accepted {
			m.To = append(m.To, to)
		} else {
			m.Refused = append(m.Refused, to)
		}
	})
	return err
}

// startTLS passes the command on. Once it has been granted the tap carries bytes that it cannot read.
func (s *session) startTLS(line []byte) error {
	i, err := s.apply(moment{at: AtSTARTTLS})
	if err != nil {
		return err
	}
	if i != nil {
		return s.perform(i)
	}
	if _, err := s.up.conn.Write(line); err != nil {
		return fmt.Errorf("speak to the mail server: %w", err)
	}
	granted := func(r reply) bool { return r.code == 220 }
	r, err := s.up.awaitReply(s.tap.context, granted, s.gone)
	if err != nil {
		return err
	}
	if err := s.write("server", r.raw); err != nil || !granted(r) {
		return err
	}
	if s.x != nil {
		s.x.publish(func(c *Exchange) { c.Mail.TLS = true })
	}
	_ = s.app.SetReadDeadline(time.Time{})
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(s.app, s.up.in)
		_ = s.app.Close()
	})
	_, _ = io.Copy(s.up.conn, s.in)
	_ = s.up.conn.Close()
	back.Wait()
	return errQuit
}
