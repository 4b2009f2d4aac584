package dashboard

import (
	"context"
	"sync"
	"time"
)

// queue holds the events whose trace is to be taken, and when.
type queue struct {
	mu   sync.Mutex
	jobs map[string]*job
	wake chan struct{} // holds one token: "look again"
}

type job struct {
	due     time.Time
	beat    time.Duration
	running bool
	again   bool // there was news while it was running
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
	j.beat = firstBeat
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

// next waits for an event whose trace is due, and gives out the newest one: ids grow with time.
func (q *queue) next(ctx context.Context) (string, error) {
	for {
		id, wait := q.take()
		if id != "" {
			q.notify() // there may be another one for somebody else
			return id, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return "", ctx.Err()
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take returns an event that is due, or how long nothing is.
func (q *queue) take() (id string, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	wait = lastBeat
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

// done says that a trace has been taken; again, that it is to be taken again some time.
func (q *queue) done(id string, again bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.jobs[id]
	j.running = false
	switch {
	case j.again:
		j.again, j.due = false, time.Now()
	case again:
		j.due = time.Now().Add(j.beat)
		j.beat = min(2*j.beat, lastBeat)
	default:
		delete(q.jobs, id)
	}
	q.notify()
}
