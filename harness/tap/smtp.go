package tap

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// smtpTap is the tap on the SMTP wire. Each connection is a session with a goroutine of its own.
type smtpTap struct {
	set     *Set
	target  atomic.Pointer[string]
	context context.Context // ends when the sessions must end
	cancel  context.CancelFunc
	number  atomic.Uint64

	mu       sync.Mutex
	sessions map[*session]struct{}
	closing  bool
	idle     chan struct{} // closed when the last session of a closing tap has ended
}

func newSMTPTap(s *Set) *smtpTap {
	t := &smtpTap{set: s, sessions: map[*session]struct{}{}, idle: make(chan struct{})}
	t.context, t.cancel = context.WithCancel(context.Background())
	return t
}

func (t *smtpTap) retarget(target string) error {
	if target != "" {
		if _, _, err := net.SplitHostPort(target); err != nil {
			return fmt.Errorf("the target %q is not a host:port: %w", target, err)
		}
	}
	t.target.Store(&target)
	return nil
}

func (t *smtpTap) serve(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		s := newSession(t, conn, t.number.Add(1))
		if !t.add(s) {
			_ = conn.Close()
			return
		}
		go func() {
			defer t.remove(s)
			s.run()
		}()
	}
}

func (t *smtpTap) add(s *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return false
	}
	t.sessions[s] = struct{}{}
	return true
}

func (t *smtpTap) remove(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sessions, s)
	if t.closing && len(t.sessions) == 0 {
		close(t.idle)
	}
}

func (t *smtpTap) isClosing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closing
}

// shutdown ends sessions that are between two messages at once, and the others when they are or when ctx ends.
func (t *smtpTap) shutdown(ctx context.Context) {
	t.mu.Lock()
	t.closing = true
	if len(t.sessions) == 0 {
		close(t.idle)
	}
	for s := range t.sessions {
		s.app.interrupt()
	}
	t.mu.Unlock()
	select {
	case <-t.idle:
	case <-ctx.Done():
		t.cancel()
		t.mu.Lock()
		for s := range t.sessions {
			s.abort()
		}
		t.mu.Unlock()
		<-t.idle
	}
	t.cancel()
}
