package stackapi

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// changes relates the app that is up to its sources. The zero value knows of no change.
type changes struct {
	mu      sync.Mutex
	noted   int    // how many changes there were
	tried   int    // with how many of them the app was started last
	file    string // the last one that changed
	failure string // why the app does not run with them; empty: it does
	moved   chan struct{}
}

// Changed notes that a source of the app has changed, so that the app that is up is outdated until it is started anew.
func (s *Server) Changed(file string) {
	c := &s.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noted++
	c.file = file
	c.move()
}

// Starting notes that the app is being started with all that has changed until now. started says how that ended.
func (s *Server) Starting() (started func(error)) {
	c := &s.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	noted := c.noted
	return func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tried = noted
		c.ended(err)
		c.move()
	}
}

// restarted notes how a restart of the app ended that no change has caused. A change that is not taken up yet is still to come.
func (c *changes) restarted(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noted != c.tried {
		return
	}
	c.ended(err)
}

// ended notes how the last start ended. The caller holds the lock.
func (c *changes) ended(err error) {
	c.failure = ""
	if err != nil {
		c.failure = err.Error()
	}
}

// move wakes those that wait.
func (c *changes) move() {
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}

// outdated says why the app that is up is not what its sources say; "" if it is. It waits for a start in progress.
func (c *changes) outdated(ctx context.Context, wait time.Duration) string {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		c.mu.Lock()
		if c.noted == c.tried {
			defer c.mu.Unlock()
			if c.failure == "" || c.file == "" {
				return c.failure
			}
			return fmt.Sprintf("%s has changed, and the app does not start with it: %s", c.file, c.failure)
		}
		if c.moved == nil {
			c.moved = make(chan struct{})
		}
		moved, file := c.moved, c.file
		c.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return file + " has changed, and the app is not up with it yet"
		}
	}
}
