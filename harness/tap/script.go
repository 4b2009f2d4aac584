package tap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// An Injection is a fault that has been armed. Its methods are safe for concurrent use.
type Injection struct {
	fault Fault
	step  string // hashed Step and After
	after string

	script  *script
	reached chan struct{}
	freed   chan struct{}

	// Guarded by script.mu.
	skip    int
	left    int // negative: without end
	acted   int
	dropped bool
	over    bool
}

// Reached is closed when the fault acts for the first time. For a [Hold] or [HoldAnswer] that is when something is
// held.
func (i *Injection) Reached() <-chan struct{} { return i.reached }

// Applied returns how often the fault has acted so far.
func (i *Injection) Applied() int {
	i.script.mu.Lock()
	defer i.script.mu.Unlock()
	return i.acted
}

// Release disarms the fault, and lets what it holds go on. What was held before the far side had it, by a sender
// that has gone away meanwhile, is not passed on; on an HTTP wire the tap learns of that with a small delay, so a test
// that ended the sender had better say [Injection.Drop].
func (i *Injection) Release() { i.free(false) }

// Drop disarms the fault, and drops what it holds: the connection is closed, as if the fault were a [Drop] or a
// [DropAnswer].
func (i *Injection) Drop() { i.free(true) }

func (i *Injection) free(drop bool) {
	i.script.mu.Lock()
	defer i.script.mu.Unlock()
	i.script.remove(i)
	if !i.over {
		i.over = true
		i.dropped = drop
		close(i.freed)
	}
}

// act marks that the fault acts now.
func (i *Injection) act() {
	i.script.mu.Lock()
	defer i.script.mu.Unlock()
	if i.acted++; i.acted == 1 {
		close(i.reached)
	}
}

// script is the faults that are armed.
type script struct {
	mu     sync.Mutex
	armed  []*Injection
	chance *rand.Rand
}

func newScript(seed uint64) *script {
	return &script{chance: rand.New(rand.NewPCG(seed, 0))}
}

func (s *script) add(f Fault) *Injection {
	i := &Injection{
		fault: f, step: sdk.StepHash(f.Step), after: sdk.StepHash(f.After),
		script: s, skip: f.Skip, left: f.Times,
		reached: make(chan struct{}), freed: make(chan struct{}),
	}
	if i.left == 0 {
		i.left = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = append(s.armed, i)
	return i
}

// remove needs s.mu.
func (s *script) remove(i *Injection) {
	s.armed = slices.DeleteFunc(s.armed, func(j *Injection) bool { return i == j })
}

// armedAt says whether any fault is armed at a point.
func (s *script) armedAt(p Point) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.armed, func(i *Injection) bool { return i.fault.At == p })
}

// A moment is what is known when something passes a point.
type moment struct {
	at       Point
	answer   bool // the far side has answered
	function string
	run      string
	attempt  int
	steps    []string // hashed ids of the steps that this is about
	after    string   // hashed id of the step finished last, "" for none
	events   []string
	to       []string
}

// claim returns the faults that act at one of these moments, in order, and counts them. The last of them may be one
// that ends the crossing; those before it pause it.
func (s *script) claim(moments ...moment) []*Injection {
	s.mu.Lock()
	defer s.mu.Unlock()
	var claimed []*Injection
	for _, i := range slices.Clone(s.armed) {
		if !slices.ContainsFunc(moments, i.matches) {
			continue
		}
		if i.fault.Chance > 0 && s.chance.Float64() >= i.fault.Chance {
			continue
		}
		if i.skip > 0 {
			i.skip--
			continue
		}
		if i.left > 0 {
			if i.left--; i.left == 0 {
				s.remove(i)
			}
		}
		claimed = append(claimed, i)
		if !i.fault.Do.pauses() {
			break
		}
	}
	return claimed
}

// giveBack undoes the claim of faults that did not come to act.
func (s *script) giveBack(claimed []*Injection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range claimed {
		if i.left < 0 || i.over {
			continue
		}
		if i.left++; i.left == 1 {
			s.armed = append(s.armed, i)
		}
	}
}

func (i *Injection) matches(m moment) bool {
	f := i.fault
	if f.At != m.at || f.Do.onAnswer() != m.answer {
		return false
	}
	if f.Function != "" && f.Function != m.function && !strings.HasSuffix(m.function, "-"+f.Function) {
		return false
	}
	if f.Run != "" && f.Run != m.run || f.Attempt != 0 && f.Attempt != m.attempt {
		return false
	}
	if f.Event != "" && !slices.Contains(m.events, f.Event) {
		return false
	}
	if f.To != "" && !slices.ContainsFunc(m.to, func(to string) bool { return strings.EqualFold(f.To, to) }) {
		return false
	}
	if f.At == AtStep && !m.answer {
		return i.beginsAfter(m)
	}
	if f.After != "" && i.after != m.after {
		return false
	}
	return f.Step == "" || slices.Contains(m.steps, i.step)
}

// beginsAfter says that the step is the one to begin now: either it is asked for by name, or the step before it is
// the one that was finished last.
func (i *Injection) beginsAfter(m moment) bool {
	if len(m.steps) > 0 {
		return slices.Contains(m.steps, i.step)
	}
	return i.after == m.after
}

// Why a crossing comes to no regular end.
var (
	errFault      = errors.New("cut by a fault")
	errSenderGone = errors.New("the sender was gone when it could have been passed on")
	errHeld       = errors.New("dropped while held by a fault")
	errClosed     = errors.New("the tap was closed")
)

// apply lets the faults at these moments act on a crossing. It returns the one that says what becomes of it, or nil
// if it goes on. An error means that it goes no further; then the fault is the one that kept it until it was dropped.
// gone, if any, is asked after a pause whether the sender is still there.
func (s *Set) apply(ctx context.Context, x *crossing, gone func() bool, moments ...moment) (*Injection, error) {
	for _, i := range s.script.claim(moments...) {
		s.acts(x, i)
		if !i.fault.Do.pauses() {
			return i, nil
		}
		if err := s.pause(ctx, i); err != nil {
			return i, err
		}
		if gone != nil && !i.fault.Do.onAnswer() && gone() {
			return i, errSenderGone
		}
	}
	return nil, nil
}

// acts records that a fault acts on a crossing, before anybody who waits for the fault can look.
func (s *Set) acts(x *crossing, i *Injection) {
	x.publish(func(c *Crossing) { c.Faults = append(slices.Clip(c.Faults), i.fault.String()) })
	i.act()
}

// pause waits as a delay or hold says. ctx ends when the sender is known to be gone.
func (s *Set) pause(ctx context.Context, i *Injection) error {
	var delay <-chan time.Time
	if i.fault.For > 0 {
		t := time.NewTimer(i.fault.For)
		defer t.Stop()
		delay = t.C
	}
	select {
	case <-delay:
	case <-i.freed:
		if i.wasDropped() {
			return errHeld
		}
	case <-s.done:
		return errClosed
	case <-ctx.Done():
		return errSenderGone
	}
	if ctx.Err() != nil {
		return errSenderGone
	}
	return nil
}

func (i *Injection) wasDropped() bool {
	i.script.mu.Lock()
	defer i.script.mu.Unlock()
	return i.dropped
}

// cut is the error of a crossing that a fault ended.
func cut(i *Injection) error { return fmt.Errorf("%w: %s", errFault, i.fault) }
