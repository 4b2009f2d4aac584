package tap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A recorder writes the records of one Exchange while it is under way, and lets faults act on it.
type recorder struct {
	set      *Set
	mu       sync.Mutex
	exchange Exchange
}

// begin returns the recorder of a new exchange. The first publish makes its first record.
func (s *Set) begin(side Side) *recorder {
	return &recorder{set: s, exchange: Exchange{ID: s.nextID.Add(1), Wire: side, Began: time.Now()}}
}

// update changes the record without publishing it.
func (r *recorder) update(change func(*Exchange)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.exchange.Over() {
		change(&r.exchange)
	}
}

// publish changes the record and appends a snapshot of it to the log.
func (r *recorder) publish(change func(*Exchange)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.exchange.Over() {
		return
	}
	change(&r.exchange)
	r.set.journal.append(snapshot(r.exchange))
}

// end publishes the last record. err says why the exchange ended irregularly, nil if it did not. Only the first call
// has an effect.
func (r *recorder) end(err error) {
	r.publish(func(x *Exchange) {
		x.Ended = time.Now()
		if err != nil {
			x.Err = err.Error()
		}
	})
}

// snapshot copies what a later update could change. Slices only ever grow, so sharing their beginning is safe.
func snapshot(x Exchange) *Exchange {
	x.HTTP = clone(x.HTTP)
	x.Call = clone(x.Call)
	x.Checkpoint = clone(x.Checkpoint)
	x.Dispatch = clone(x.Dispatch)
	x.Sync = clone(x.Sync)
	x.Mail = clone(x.Mail)
	return &x
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// Why an exchange ends irregularly.
var (
	errFault      = errors.New("cut by a fault")
	errSenderGone = errors.New("the sender was gone when it could have been passed on")
	errHeld       = errors.New("dropped while held by a fault")
	errClosed     = errors.New("the tap was closed")
	errAbandoned  = errors.New("the server was made to give the call up")
)

// cut is the error of an exchange that a fault ended.
func cut(i *Injection) error { return fmt.Errorf("%w: %s", errFault, i.fault) }

// apply lets the faults at these moments act. It returns the one that decides what becomes of the exchange, nil if it
// goes on. With an error the exchange must not go on; the injection is then the one that held it. gone, which may be
// nil, reports whether the sender has left; it is called after a pause before the far side has the request.
func (r *recorder) apply(ctx context.Context, gone func() bool, moments ...moment) (*Injection, error) {
	for _, i := range r.set.faults.take(moments...) {
		r.act(i)
		if !i.fault.Do.pauses() {
			return i, nil
		}
		if err := r.pause(ctx, i); err != nil {
			return i, err
		}
		if gone != nil && !i.fault.Do.onAnswer() && gone() {
			return i, errSenderGone
		}
	}
	return nil, nil
}

// act records that a fault acts, then reports it to [Injection.Reached].
func (r *recorder) act(i *Injection) {
	r.publish(func(x *Exchange) { x.Faults = append(slices.Clip(x.Faults), i.fault.String()) })
	i.act()
}

// pause waits for the end of a delay or hold. ctx ends when the sender is known to be gone.
func (r *recorder) pause(ctx context.Context, i *Injection) error {
	var delay <-chan time.Time
	if i.fault.For > 0 {
		delay = time.After(i.fault.For)
	}
	select {
	case <-delay:
	case <-i.released:
		if i.drops {
			return errHeld
		}
	case <-r.set.done:
		return errClosed
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return errSenderGone
	}
	return nil
}
