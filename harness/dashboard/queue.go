package dashboard

import (
	"context"
	"sync"
	"time"
)

// queue holds the events whose trace is due, now or later.
type queue struct {
	mu   sync.Mutex
	jobs map[string]*job
	wake chan struct{} // holds one token: "look again"
}

type job struct {
	due     time.Time
	pause   time.Duration
	running bool
	again   bool // there was news during the trace
}

func newQueue() *queue { return &queue{jobs: map[string]*job{}, wake: make(chan struct{}, 1)} }

// news makes an event's trace due at once.
func (q *queue) news(id string) {
	q.mu.Lock()
	j := q.jobs[id]
	if j == nil {
		j = &job{}
		q.jobs[id] = j
	}
	j.pause = firstPause
	j.again = j.running
	j.due = time.Now()
	q.mu.Unlock()
	q.notify()
}

func (q *queue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next waits for an event whose trace is due, and returns the newest: ids grow with time.
func (q *queue) next(ctx context.Context) (string, error) {
	for {
		id, wait := q.take()
		if id != "" {
			q.notify() // another one may be due, for another goroutine
			return id, nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-q.wake:
		case <-time.After(wait):
		}
	}
}

// take returns an event that is due, or how long none will be.
func (q *queue) take() (id string, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	wait = lastPause
	for candidate, j := range q.jobs {
		switch left := j.due.Sub(now); {
		case j.running:
		case left > 0:
			wait = min(wait, left)
		case candidate > id:
			id = candidate
		}
	}
	if id != "" {
		q.jobs[id].running = true
	}
	return id, wait
}

// done ends a trace of an event. again says that the event needs another trace later.
func (q *queue) done(id string, again bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.jobs[id]
	j.running = false
	switch {
	case j.again:
		j.again, j.due = false, time.Now()
	case again:
		j.due = time.Now().Add(j.pause)
		j.pause = min(2*j.pause, lastPause)
	default:
		delete(q.jobs, id)
	}
	q.notify()
}
