package tap

import (
	"context"
	"fmt"
	"iter"
	"sync"
)

// A GapError reports that records were dropped from the log before a reader had read them.
type GapError struct {
	// Missed is the number of these records.
	Missed uint64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("the taps' log has moved on: %d records are gone before they were read; read faster, or raise tap.Options.Keep", e.Missed)
}

// journal is the log of exchanges. It holds a bounded number of records in the sequence of Seq, and never waits for a
// reader: readers keep their own position.
type journal struct {
	mu     sync.Mutex
	keep   int
	kept   []*Exchange       // nil where a later record of the same exchange has taken its place
	first  uint64            // Seq of kept[0]
	open   map[uint64]uint64 // ID of an exchange that is not over → Seq of its last record
	wake   chan struct{}     // closed by the next append; nil while no reader waits
	closed bool
}

func newJournal(keep int) *journal {
	return &journal{keep: keep, first: 1, open: map[uint64]uint64{}}
}

// append takes ownership of c.
func (j *journal) append(c *Exchange) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return
	}
	c.Seq = j.first + uint64(len(j.kept))
	if earlier, ok := j.open[c.ID]; ok && earlier >= j.first {
		j.kept[earlier-j.first] = nil
	}
	if c.Over() {
		delete(j.open, c.ID)
	} else {
		j.open[c.ID] = c.Seq
	}
	if len(j.kept) == j.keep {
		j.kept[0] = nil
		j.kept = j.kept[1:]
		j.first++
	}
	j.kept = append(j.kept, c)
	j.wakeAll()
}

func (j *journal) wakeAll() {
	if j.wake != nil {
		close(j.wake)
		j.wake = nil
	}
}

func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.wakeAll()
}

// last returns the Seq of the newest record.
func (j *journal) last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first + uint64(len(j.kept)) - 1
}

// next returns the first record after a position, and the position reached. missed counts the records that were dropped
// before they could be read; there is no record then. With nothing to read it returns a channel that closes when there
// is, or nil at the end of a closed log.
func (j *journal) next(after uint64) (_ *Exchange, position, missed uint64, wait <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if after+1 < j.first {
		return nil, j.first - 1, j.first - 1 - after, nil
	}
	for _, c := range j.kept[min(after+1-j.first, uint64(len(j.kept))):] {
		after++
		if c != nil {
			return c, after, 0, nil
		}
	}
	if j.closed {
		return nil, after, 0, nil
	}
	if j.wake == nil {
		j.wake = make(chan struct{})
	}
	return nil, after, 0, j.wake
}

func (j *journal) watch(ctx context.Context, after uint64) iter.Seq2[Exchange, error] {
	return func(yield func(Exchange, error) bool) {
		position := after
		if position == 0 {
			// A reader that begins at the oldest record has missed nothing.
			j.mu.Lock()
			position = j.first - 1
			j.mu.Unlock()
		}
		for ctx.Err() == nil {
			c, reached, missed, wait := j.next(position)
			position = reached
			switch {
			case missed > 0:
				if !yield(Exchange{}, &GapError{missed}) {
					return
				}
			case c != nil:
				if !yield(*c, nil) {
					return
				}
			case wait == nil:
				return
			default:
				select {
				case <-wait:
				case <-ctx.Done():
				}
			}
		}
	}
}

func (j *journal) snapshot() []Exchange {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]Exchange, 0, len(j.kept))
	for _, c := range j.kept {
		if c != nil {
			all = append(all, *c)
		}
	}
	return all
}
