package tap

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// An appConn is the app's mail connection to the tap. Only interrupt and Close may be called by other goroutines than
// the session's.
type appConn struct {
	net.Conn
	in   *bufio.Reader
	line []byte // the part of a command line that has been read
	lf   bool   // the last command line ended in LF alone
	// interrupted returns why a read must not wait any longer, nil if it may.
	interrupted func() error
}

// bufferSize is the size in bytes of the pieces in which a message passes.
const bufferSize = 32 << 10

// maxLine bounds a command line, in bytes.
const maxLine = 1 << 20

// interrupt ends a read that waits, which then calls interrupted.
func (c *appConn) interrupt() { _ = c.SetReadDeadline(time.Unix(1, 0)) }

// ready prepares a read. It clears the deadline first: an interrupt that comes later ends the read, and the reason of an
// earlier one is found by interrupted.
func (c *appConn) ready() error {
	_ = c.SetReadDeadline(time.Time{})
	return c.interrupted()
}

// readLine reads a command line. It ends in CRLF, also where the app sent LF alone: some mail servers wait for CRLF.
func (c *appConn) readLine() ([]byte, error) {
	for len(c.line) < maxLine {
		if err := c.ready(); err != nil {
			return nil, err
		}
		piece, err := c.in.ReadSlice('\n')
		c.line = append(c.line, piece...)
		switch {
		case err == nil:
			line := c.line
			c.line = nil
			if c.lf = !bytes.HasSuffix(line, []byte("\r\n")); c.lf {
				line = append(line[:len(line)-1], "\r\n"...)
			}
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull), errors.Is(err, os.ErrDeadlineExceeded):
		default:
			return nil, err
		}
	}
	return nil, errors.New("a command line that does not end")
}

// peek returns what the app has sent, at least one byte. It stays in the buffer.
func (c *appConn) peek() ([]byte, error) {
	for {
		if err := c.ready(); err != nil {
			return nil, err
		}
		_, err := c.in.Peek(1)
		if err == nil {
			return c.in.Peek(c.in.Buffered())
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
}

// discard reads and ignores what the app sends, until the app closes the connection or closing reports true.
func (c *appConn) discard(closing func() bool) error {
	for {
		_ = c.SetReadDeadline(time.Time{})
		if closing() {
			return errClosed
		}
		if _, err := io.Copy(io.Discard, c.in); !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
	}
}

// gone reports whether the app has closed the connection.
func (c *appConn) gone() bool {
	if c.in.Buffered() > 0 {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.in.Peek(1)
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// resetOnClose makes Close reset the connection, which to the app looks like a refusal.
func (c *appConn) resetOnClose() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}
