package tap

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A message is the text between DATA and the line that ends it, while a session relays it.
type message struct {
	session *session
	finder  dotFinder
	pace    int          // bytes per second; zero: not limited
	faults  []*Injection // those still to act, sorted by Bytes
}

// relay passes the message on, up to but not including the line that ends it.
func (m *message) relay() error {
	s := m.session
	defer s.delivery.noteMessage()
	for _, i := range s.tap.set.faults.take(moment{at: AtBody, to: s.delivery.to}) {
		if i.fault.Do == Throttle {
			s.delivery.recorder().act(i)
			m.pace = i.fault.Rate
			continue
		}
		m.faults = append(m.faults, i)
	}
	slices.SortStableFunc(m.faults, func(a, b *Injection) int { return int(a.fault.Bytes - b.fault.Bytes) })
	defer func() { s.tap.set.faults.putBack(m.faults) }()

	for ended := false; !ended; {
		piece, err := s.app.peek()
		if errors.Is(err, errUnsolicited) {
			return errors.Join(s.relayUnsolicited(), errors.New("the mail server answered before it had the whole message"))
		}
		if err != nil {
			return fmt.Errorf("the app went away in the middle of a message: %w", err)
		}
		// What may be the beginning of the terminator is held back until the next piece.
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
		_, _ = s.app.in.Discard(used)
	}
	said := fmt.Sprintf("(message of %d bytes)", s.delivery.size)
	if n := s.delivery.bareLF; n > 0 {
		said = fmt.Sprintf("(message of %d bytes, in which LF stands %d times without CR)", s.delivery.size, n)
	}
	s.delivery.note("app", said)
	if !s.delivery.header.over {
		s.delivery.publishMessage()
	}
	return nil
}

// write passes text on, and lets the faults act that are due within it.
func (m *message) write(text []byte) error {
	d := &m.session.delivery
	for len(text) > 0 {
		n := len(text)
		if len(m.faults) > 0 {
			left := m.faults[0].fault.Bytes - d.size
			if left <= 0 {
				if err := m.applyNext(); err != nil {
					return err
				}
				continue
			}
			n = int(min(int64(n), left))
		}
		if m.pace > 0 {
			n = min(n, max(1, m.pace/50))
		}
		if err := m.session.up.send(text[:n]); err != nil {
			return err
		}
		d.passed(text[:n])
		text = text[n:]
		if m.pace > 0 {
			if err := m.wait(time.Duration(n) * time.Second / time.Duration(m.pace)); err != nil {
				return err
			}
		}
	}
	return nil
}

// applyNext lets the next fault act.
func (m *message) applyNext() error {
	i := m.faults[0]
	m.faults = m.faults[1:]
	s := m.session
	s.delivery.recorder().act(i)
	if !i.fault.Do.pauses() {
		return s.perform(i)
	}
	return s.delivery.recorder().pause(s.tap.context, i)
}

func (m *message) wait(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-m.session.tap.context.Done():
		return errClosed
	}
}

// terminator ends a message. It follows a line end.
const terminator = ".\r\n"

// ending is what a dotFinder looks for: a line end and the terminator.
const ending = "\r\n" + terminator

// A dotFinder finds the line with a single dot that ends a message, in a stream that comes in pieces. The zero value is
// at the beginning of a line, as a message is.
type dotFinder struct {
	// dot is how many bytes of the terminator have been found; -1 after "\r", -2 within a line.
	dot int
}

// next reads the next piece of the stream. It returns how many of its bytes it has used: all of them or, when the message
// has ended, those up to and including the terminator.
func (f *dotFinder) next(piece []byte) (used int, ended bool) {
	const inLine = -2
	for i := 0; i < len(piece); i++ {
		if f.dot == inLine {
			n := bytes.IndexByte(piece[i:], '\r')
			if n < 0 {
				return len(piece), false
			}
			i += n
		}
		switch piece[i] {
		case ending[f.dot-inLine]:
			f.dot++
		case '\r':
			f.dot = inLine + 1
		default:
			f.dot = inLine
		}
		if f.dot == len(terminator) {
			f.dot = 0
			return i + 1, true
		}
	}
	return len(piece), false
}

// held is how many bytes at the end of what was read so far may be the beginning of the terminator.
func (f *dotFinder) held() int { return max(0, f.dot) }
