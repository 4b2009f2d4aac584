package service

import (
	"net/http"
	"sync"
)

// calls tracks pending HTTP calls, so that Close can wait for them even without an http.Server.
type calls struct {
	mu      sync.RWMutex
	closed  bool
	pending sync.WaitGroup
}

func (c *calls) tracked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.begin() {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "the app is stopping", http.StatusServiceUnavailable)
			return
		}
		defer c.pending.Done()
		next.ServeHTTP(w, r)
	})
}

func (c *calls) begin() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed {
		c.pending.Add(1)
	}
	return !c.closed
}

// close refuses further calls and returns a channel that is closed when no call is pending.
func (c *calls) close() <-chan struct{} {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.pending.Wait()
	}()
	return done
}
