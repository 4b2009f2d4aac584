package service

import (
	"net/http"
	"sync"
)

// calls counts the HTTP calls under way, so that a stop can wait for them also where no http.Server does.
type calls struct {
	mu      sync.Mutex
	n       int
	closing chan struct{} // not nil once close was called; closed when the last call is over
}

func (c *calls) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.enter() {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "the app is stopping", http.StatusServiceUnavailable)
			return
		}
		defer c.leave()
		next.ServeHTTP(w, r)
	})
}

func (c *calls) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil {
		return false
	}
	c.n++
	return true
}

func (c *calls) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.n == 0 && c.closing != nil {
		close(c.closing)
	}
}

// close refuses further calls and returns a channel that is closed when those under way are over. It is called once.
func (c *calls) close() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = make(chan struct{})
	if c.n == 0 {
		close(c.closing)
	}
	return c.closing
}
