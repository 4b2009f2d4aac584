package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func (s *session) data(line []byte) error {
	r, passed, err := s.relay(AtDATA, line, s.to...)
	if err != nil || !passed || r.code != 354 {
		return err
	}
	m := &message{session: s}
	if err := m.pass(); err != nil {
		return err
	}
	return s.dot()
}

// dot ends a message: the moment at which the mail server takes it, or does not.
func (s *session) dot() error {
	i, err := s.apply(moment{at: AtDot, to: s.to})
	if err != nil {
		return err
	}
	if i != nil {
		if i.fault.Do == Reply {
			if err := s.redial(); err != nil {
				return err
			}
			return s.sendFaultReply(i.fault, s.writeLast)
		}
		return s.perform(i)
	}
	if _, err := s.up.conn.Write([]byte(terminator)); err != nil {
		return fmt.Errorf("speak to the mail server: %w", err)
	}
	// Whether it takes the message counts also when the app has hung up.
	r, err := s.up.awaitReply(s.tap.context, nil, nil)
	if err != nil {
		return err
	}
	return s.accepted(r)
}

// accepted passes on what the mail server says to a whole message.
func (s *session) accepted(r reply) error {
	if r.positive() {
		s.record(func(m *harness.MailTransaction) { m.Accepted, m.AcceptedAt = true, time.Now() })
	}
	if err := s.applyToReply(AtDot, s.to...); err != nil {
		return err
	}
	s.record(func(m *harness.MailTransaction) { m.Reported = m.Accepted })
	return s.writeLast("server", r.raw)
}

// chunk passes on a piece of a message whose size the command tells (RFC 3030). There is no dot at which to hold it:
// faults can act on the answer to the last piece alone.
func (s *session) chunk(line []byte) error {
	var size int64
	var last string
	if n, _ := fmt.Sscanf(strings.ToUpper(string(line)), "BDAT %d %s", &size, &last); n == 0 || size < 0 {
		_, _, err := s.relay("", line)
		return err
	}
	_ = s.app.SetReadDeadline(time.Time{})
	if _, err := s.up.conn.Write(line); err != nil {
		return fmt.Errorf("speak to the mail server: %w", err)
	}
	if _, err := io.CopyN(s.up.conn, io.TeeReader(s.in, &s.header), size); err != nil {
		return fmt.Errorf("pass a message on: %w", err)
	}
	s.record(func(m *harness.MailTransaction) {
		m.Size += size
		s.header.into(m, s.tap.set.options.RunHeader)
	})
	r, err := s.up.awaitReply(s.tap.context, nil, nil)
	if err != nil {
		return err
	}
	if last == "LAST" {
		return s.accepted(r)
	}
	return s.write("server", r.raw)
}

// A message is a message while it passes through a session.
type message struct {
	session *session
	finder  dotFinder
	size    int64
	pace    int          // bytes per second; zero: as fast as it goes
	faults  []*Injection // those still to act, in the order of Bytes
}

// pass passes the message on, up to but not including the line that ends it.
func (m *message) pass() error {
	s := m.session
	for _, i := range s.tap.set.faults.take(moment{at: AtBody, to: s.to}) {
		if i.fault.Do == Throttle {
			s.x.act(i)
			m.pace = i.fault.Rate
			continue
		}
		m.faults = append(m.faults, i)
	}
	slices.SortStableFunc(m.faults, func(a, b *Injection) int { return int(a.fault.Bytes - b.fault.Bytes) })
	defer func() { s.tap.set.faults.putBack(m.faults) }()

	for ended := false; !ended; {
		piece, err := m.piece()
		if err != nil {
			return err
		}
		held := m.finder.held()
		var used int
		used, ended = m.finder.next(piece)
		keep := m.finder.held()
		if ended {
			keep = len(terminator)
		}
		if certain := held + used - keep; certain > 0 {
			if err := m.write([]byte(terminator[:held])); err != nil {
				return err
			}
			if err := m.write(piece[:certain-held]); err != nil {
				return err
			}
		}
		_, _ = s.in.Discard(used)
	}
	s.note("app", fmt.Sprintf("(message of %d bytes)", m.size))
	s.record(func(r *harness.MailTransaction) {
		r.Size = m.size
		s.header.into(r, s.tap.set.options.RunHeader)
	})
	return nil
}

// piece returns what the app has sent of the message, at least one byte. It stays in the buffer.
func (m *message) piece() ([]byte, error) {
	s := m.session
	for {
		if err := s.listen(); errors.Is(err, errUnsolicited) {
			return nil, errors.Join(s.relayUnsolicited(), errors.New("the mail server answered before it had the whole message"))
		}
		_, err := s.in.Peek(1)
		if err == nil {
			return s.in.Peek(s.in.Buffered())
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, fmt.Errorf("the app went away in the middle of a message: %w", err)
		}
	}
}

// write passes text on, with the faults that act inside a message.
func (m *message) write(text []byte) error {
	for len(text) > 0 {
		n := len(text)
		if len(m.faults) > 0 {
			left := m.faults[0].fault.Bytes - m.size
			if left <= 0 {
				if err := m.fault(); err != nil {
					return err
				}
				continue
			}
			n = int(min(int64(n), left))
		}
		if m.pace > 0 {
			n = min(n, max(1, m.pace/50))
		}
		if _, err := m.session.up.conn.Write(text[:n]); err != nil {
			return fmt.Errorf("speak to the mail server: %w", err)
		}
		_, _ = m.session.header.Write(text[:n])
		m.size += int64(n)
		text = text[n:]
		if m.pace > 0 {
			if err := m.wait(time.Duration(n) * time.Second / time.Duration(m.pace)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fault lets the next fault act.
func (m *message) fault() error {
	i := m.faults[0]
	m.faults = m.faults[1:]
	s := m.session
	s.x.act(i)
	if !i.fault.Do.pauses() {
		return s.perform(i)
	}
	return s.x.pause(s.tap.context, i)
}

func (m *message) wait(d time.Duration) error {
	ctx, cancel := context.WithTimeout(m.session.tap.context, d)
	defer cancel()
	<-ctx.Done()
	if m.session.tap.context.Err() != nil {
		return errClosed
	}
	return nil
}
