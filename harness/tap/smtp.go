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
	running  sync.WaitGroup // the sessions
}

func newSMTPTap(s *Set) *smtpTap {
	t := &smtpTap{set: s, sessions: map[*session]struct{}{}}
	t.context, t.cancel = context.WithCancel(context.Background())
	return t
}

func (t *smtpTap) retarget(targets ...string) error {
	if len(targets) != 1 {
		return fmt.Errorf("%d targets: a mail wire has one", len(targets))
	}
	target := targets[0]
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
		t.begin(newSession(t, conn, t.number.Add(1)))
	}
}

// begin runs a session in a goroutine of its own. A closing tap closes its connection instead.
func (t *smtpTap) begin(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		_ = s.app.Close()
		return
	}
	t.sessions[s] = struct{}{}
	t.running.Go(func() {
		s.run()
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.sessions, s)
	})
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
	for s := range t.sessions {
		s.app.interrupt()
	}
	t.mu.Unlock()
	defer context.AfterFunc(ctx, func() {
		t.cancel()
		t.mu.Lock()
		defer t.mu.Unlock()
		for s := range t.sessions {
			s.abort()
		}
	})()
	t.running.Wait()
	t.cancel()
}
