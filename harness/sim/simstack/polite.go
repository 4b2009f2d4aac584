package simstack

import (
	"io"
	"net"
	"time"
)

// politeListener hands out connections that are closed in a way that the other side has noticed when Close returns. A Sim
// is run again at once, unlike a server; who still held a connection to the last one would lose his next request on it.
type politeListener struct{ net.Listener }

func (l politeListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return politeConn{c.(*net.TCPConn)}, nil
}

type politeConn struct{ *net.TCPConn }

// noticeTime bounds the wait for the other side to hang up too.
const noticeTime = 200 * time.Millisecond

func (c politeConn) Close() error {
	if c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(noticeTime)) == nil {
		_, _ = io.Copy(io.Discard, c.TCPConn) // ends with the other side's end of the connection, or the deadline
	}
	return c.TCPConn.Close()
}
