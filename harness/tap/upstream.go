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

// An upstream is a session's connection to the mail server. A goroutine of its own reads the replies, so that the
// session hears at once when the server speaks unasked, or hangs up.
type upstream struct {
	conn    net.Conn
	in      *bufio.Reader
	next    chan struct{} // asks for the next reply
	replies chan received // holds one
	ended   chan struct{}
}

type received struct {
	reply
	err error
}

// dialMail connects to the mail server and asks for its banner. kick is called whenever there is something to hear.
func dialMail(ctx context.Context, target string, kick func()) (*upstream, error) {
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
			kick()
			if err != nil {
				return
			}
		}
	}()
	return u, nil
}

// silence is after how long without a word of the mail server it is looked whether anybody still waits for one.
const goneInterval = 100 * time.Millisecond

// hear waits for the next reply. Once it has one, the reading of another begins, unless last is set: then what
// follows on the connection is the caller's to read. It fails with io.EOF when gone, where it is not nil, says that
// nobody waits any more.
func (u *upstream) awaitReply(ctx context.Context, last func(reply) bool, gone func() bool) (reply, error) {
	var look <-chan time.Time
	if gone != nil {
		ticker := time.NewTicker(goneInterval)
		defer ticker.Stop()
		look = ticker.C
	}
	for {
		select {
		case h := <-u.replies:
			if errors.Is(h.err, io.EOF) {
				return h.reply, errors.New("the mail server closed the connection")
			}
			if h.err != nil {
				return h.reply, fmt.Errorf("hear from the mail server: %w", h.err)
			}
			if last == nil || !last(h.reply) {
				u.next <- struct{}{}
			}
			return h.reply, nil
		case <-ctx.Done():
			return reply{}, errClosed
		case <-look:
			if gone() {
				return reply{}, io.EOF
			}
		}
	}
}

// spoke says that there is something to hear.
func (u *upstream) hasReply() bool { return len(u.replies) > 0 }

func (u *upstream) close() {
	_ = u.conn.Close()
	close(u.next)
	<-u.ended
}
