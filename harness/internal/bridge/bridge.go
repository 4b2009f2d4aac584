// Package bridge lets a container reach a server that listens on this machine's loopback interface, without that
// server listening anywhere else.
//
//	b := bridge.New("172.18.0.1")              // the gateway of the container's network
//	addr, err := b.Reach(ctx, "127.0.0.1:3000") // "172.18.0.1:40123": what the container dials
//	defer b.Close()
//
// Where the engine runs on this machine the gateway of a container network is an address of ours: a forwarder listens
// on it, one for each server. Only that network's containers, and this machine, can reach it. Where the engine runs in
// a virtual machine, as on macOS and Windows, it is not; such engines resolve host.docker.internal and forward to
// loopback by themselves.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
)

// Host is the name by which containers know this machine where the engine runs in a virtual machine.
const Host = "host.docker.internal"

// A Bridge leads from one container network to this machine. It is safe for concurrent use. Close frees it.
type Bridge struct {
	gateway string

	mu       sync.Mutex
	closed   bool
	forwards map[string]*forward // by the address that they lead to
}

// New returns a bridge from the network whose gateway has this IP address. It opens nothing yet.
func New(gateway string) *Bridge {
	return &Bridge{gateway: gateway, forwards: make(map[string]*forward)}
}

// Reach returns the host:port at which a container reaches addr, a loopback host:port of this machine. The same addr
// gives the same answer.
func (b *Bridge) Reach(ctx context.Context, addr string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return "", errors.New("the way from the containers to this machine is closed")
	}
	if f, ok := b.forwards[addr]; ok {
		return f.listener.Addr().String(), nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("the address that containers are to reach: %w", err)
	}
	throughVM := net.JoinHostPort(Host, port)
	if runtime.GOOS != "linux" {
		return throughVM, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(b.gateway, "0"))
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return throughVM, nil
	}
	if err != nil {
		return "", fmt.Errorf("listen for the containers at the gateway of their network: %w", err)
	}
	f := &forward{listener: l, to: addr, conns: make(map[net.Conn]bool)}
	f.running.Add(1)
	go f.accept()
	b.forwards[addr] = f
	return l.Addr().String(), nil
}

// Close ends all forwarding, and the connections with it.
func (b *Bridge) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, f := range b.forwards {
		f.close()
	}
	clear(b.forwards)
}

// forward is one listener and the connections that came in on it.
type forward struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
}

func (f *forward) accept() {
	defer f.running.Done()
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return // closed
		}
		f.running.Add(1)
		go f.carry(conn)
	}
}

// carry copies both ways until both have ended. A server that is not there is a connection that ends at once, which
// is the nearest thing to a refusal that a forwarder can give.
func (f *forward) carry(in net.Conn) {
	defer f.running.Done()
	defer in.Close()
	out, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer out.Close()
	if !f.hold(in, out) {
		return
	}
	defer f.release(in, out)

	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{out, in}, {in, out}} {
		both.Go(func() {
			to, from := way[0], way[1]
			_, _ = io.Copy(to, from) // either end may go away at any time
			_ = to.(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
}

func (f *forward) hold(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		f.conns[c] = true
	}
	return !f.closed
}

func (f *forward) release(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		delete(f.conns, c)
	}
}

func (f *forward) close() {
	f.listener.Close()
	f.mu.Lock()
	f.closed = true
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	f.running.Wait()
}
