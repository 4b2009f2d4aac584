// Package bridge lets a container reach a server that listens on this machine's loopback interface, without that
// server listening anywhere else.
//
//	b := bridge.New("172.17.0.1")              // the gateway of the container's network
//	addr, err := b.Reach(ctx, "127.0.0.1:3000") // "172.17.0.1:40123": what the container dials
//	defer b.Close()
//
// Where the engine runs on this machine, the gateway of a container network is an address of this machine: a forwarder
// listens on it, one for each server. Only that network's containers, and this machine, can reach it. Where the engine runs
// in a virtual machine, as on macOS and Windows, the gateway is an address of that machine; such engines resolve
// host.docker.internal and forward to loopback by themselves.
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
	alive   context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	forwards map[string]string // loopback address → address of its forwarder
}

// New returns a bridge from the network whose gateway has this IP address. It opens nothing yet.
func New(gateway string) *Bridge {
	b := &Bridge{gateway: gateway, forwards: make(map[string]string)}
	b.alive, b.end = context.WithCancel(context.Background())
	return b
}

// Reach returns the host:port at which a container reaches addr, a loopback host:port of this machine. It returns the same
// for the same addr.
func (b *Bridge) Reach(ctx context.Context, addr string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.alive.Err() != nil {
		return "", errors.New("the way from the containers to this machine is closed")
	}
	if reach, ok := b.forwards[addr]; ok {
		return reach, nil
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
	context.AfterFunc(b.alive, func() { l.Close() })
	b.running.Go(func() { b.forward(l, addr) })
	b.forwards[addr] = l.Addr().String()
	return b.forwards[addr], nil
}

// Close ends all forwarders and their connections, and returns when they have ended.
func (b *Bridge) Close() {
	b.mu.Lock()
	b.end()
	b.mu.Unlock()
	b.running.Wait()
}

// forward connects each connection that l accepts with addr, until l is closed.
func (b *Bridge) forward(l net.Listener, addr string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		b.running.Go(func() { b.connect(in, addr) })
	}
}

// connect copies in both directions until both have ended. Where no server listens on addr, it closes the connection at
// once.
func (b *Bridge) connect(in net.Conn, addr string) {
	defer in.Close()
	out, err := (&net.Dialer{}).DialContext(b.alive, "tcp", addr)
	if err != nil {
		return
	}
	defer out.Close()
	defer context.AfterFunc(b.alive, func() { in.Close(); out.Close() })()

	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{out, in}, {in, out}} {
		both.Go(func() {
			to, from := way[0], way[1]
			_, _ = io.Copy(to, from) // either side may close at any time
			_ = to.(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
}
