package tap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// An upstream is a session's connection to the mail server. A goroutine of its own reads the replies, so that the session
// learns at once when the server sends one without a command, or closes the connection.
type upstream struct {
	conn    net.Conn
	in      *bufio.Reader
	next    chan struct{} // asks for the next reply
	replies chan received // holds one
	ended   chan struct{} // closed when the goroutine has returned
}

// received is a reply, or why there is none.
type received struct {
	reply
	err error
}

// dialMail connects to the mail server and asks for its banner. notify is called whenever a reply has arrived.
func dialMail(ctx context.Context, target string, notify func()) (*upstream, error) {
	if target == "" {
		return nil, errors.New("the mail server is not there yet")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, fmt.Errorf("reach the mail server: %w", err)
	}
	u := &upstream{
		conn: conn, in: bufio.NewReader(conn),
		next: make(chan struct{}, 1), replies: make(chan received, 1), ended: make(chan struct{}),
	}
	u.next <- struct{}{}
	go func() {
		defer close(u.ended)
		for range u.next {
			r, err := readReply(u.in)
			u.replies <- received{r, err}
			notify()
			if err != nil {
				return
			}
		}
	}()
	return u, nil
}

func (u *upstream) send(text []byte) error {
	if _, err := u.conn.Write(text); err != nil {
		return fmt.Errorf("write to the mail server: %w", err)
	}
	return nil
}

// goneInterval is how often awaitReply checks whether the app is still connected.
const goneInterval = 100 * time.Millisecond

// awaitReply waits for the next reply. It then asks for another one, unless last reports that the reply was the last; the
// caller then reads what follows. If gone is not nil and reports true, awaitReply returns io.EOF.
func (u *upstream) awaitReply(ctx context.Context, last func(reply) bool, gone func() bool) (reply, error) {
	var check <-chan time.Time
	if gone != nil {
		check = time.Tick(goneInterval)
	}
	for {
		select {
		case r := <-u.replies:
			if errors.Is(r.err, io.EOF) {
				return r.reply, errors.New("the mail server closed the connection")
			}
			if r.err != nil {
				return r.reply, fmt.Errorf("read from the mail server: %w", r.err)
			}
			if last == nil || !last(r.reply) {
				u.next <- struct{}{}
			}
			return r.reply, nil
		case <-ctx.Done():
			return reply{}, errClosed
		case <-check:
			if gone() {
				return reply{}, io.EOF
			}
		}
	}
}

// hasReply reports whether awaitReply would return at once.
func (u *upstream) hasReply() bool { return len(u.replies) > 0 }

func (u *upstream) close() {
	_ = u.conn.Close()
	close(u.next)
	<-u.ended
}
