package tap

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// An Injection is a fault that has been armed. Its methods are safe for concurrent use.
type Injection struct {
	fault Fault
	step  string // hashed Step and After
	after string

	set      *faultSet
	reached  chan struct{} // closed when the fault acts for the first time
	released chan struct{} // closed by Release and Drop
	drops    bool          // Drop was called; may be read once released is closed

	// Guarded by set.mu.
	skip  int
	left  int // negative: without end
	acted int
	over  bool
}

// Reached is closed when the fault acts for the first time. For a [Hold] or [HoldAnswer] that is when it holds
// something.
func (i *Injection) Reached() <-chan struct{} { return i.reached }

// Applied returns how often the fault has acted so far.
func (i *Injection) Applied() int {
	i.set.mu.Lock()
	defer i.set.mu.Unlock()
	return i.acted
}

// Armed reports whether the fault may act again.
func (i *Injection) Armed() bool {
	i.set.mu.Lock()
	defer i.set.mu.Unlock()
	return slices.Contains(i.set.armed, i)
}

// Release disarms the fault, and lets what it holds go on. A held request whose sender has gone away meanwhile is not
// passed on. On an HTTP wire the tap learns with a small delay that a sender has gone; a test that ended the sender
// calls [Injection.Drop] instead.
func (i *Injection) Release() { i.release(false) }

// Drop disarms the fault, and closes the connections that it holds, as [Drop] and [DropAnswer] do.
func (i *Injection) Drop() { i.release(true) }

func (i *Injection) release(drop bool) {
	i.set.mu.Lock()
	defer i.set.mu.Unlock()
	i.set.disarm(i)
	if !i.over {
		i.over = true
		i.drops = drop
		close(i.released)
	}
}

// act counts that the fault acts now.
func (i *Injection) act() {
	i.set.mu.Lock()
	defer i.set.mu.Unlock()
	if i.acted++; i.acted == 1 {
		close(i.reached)
	}
}

// matches reports whether the fault can act at a moment.
func (i *Injection) matches(m moment) bool {
	f := i.fault
	switch {
	case f.At != m.at, f.Do.onAnswer() != m.answer,
		f.Function != "" && !i.set.names(f.Function, m.functionID),
		f.Run != "" && f.Run != m.runID,
		f.Attempt != 0 && f.Attempt != m.attempt,
		f.Event != "" && !slices.Contains(m.events, f.Event),
		f.To != "" && !address.In(f.To, m.to):
		return false
	case f.At == AtStep && !m.answer:
		return i.beginsAt(m)
	case f.After != "" && i.after != m.after:
		return false
	}
	return f.Step == "" || slices.Contains(m.steps, i.step)
}

// beginsAt reports whether the fault's step begins next: the call names it, or the step before it ended last.
func (i *Injection) beginsAt(m moment) bool {
	if len(m.steps) > 0 {
		return slices.Contains(m.steps, i.step)
	}
	return i.after == m.after
}

// A moment is what is known about an exchange when it passes a point.
type moment struct {
	at         Point
	answer     bool // the far side has answered
	functionID string
	runID      string
	attempt    int
	steps      []string // hashed ids of the steps that the message names
	after      string   // hashed id of the step that ended last, "" for none
	events     []string
	to         []string
}

// passing returns the moment at which an exchange passes a point with a message that names some steps.
func (m moment) passing(at Point, answer bool, steps []string) moment {
	m.at, m.answer, m.steps = at, answer, steps
	return m
}

// A faultSet holds the faults that are armed. It is safe for concurrent use.
type faultSet struct {
	mu     sync.Mutex
	armed  []*Injection
	chance *rand.Rand
	apps   []string // the ids of those that have registered
}

func newFaultSet(seed uint64) *faultSet {
	return &faultSet{chance: rand.New(rand.NewPCG(seed, 0))}
}

func (s *faultSet) arm(f Fault) *Injection {
	i := &Injection{
		fault: f, step: sdk.StepHash(f.Step), after: sdk.StepHash(f.After),
		set: s, skip: f.Skip, left: f.Times,
		reached: make(chan struct{}), released: make(chan struct{}),
	}
	if i.left == 0 {
		i.left = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = append(s.armed, i)
	return i
}

// learn notes the id of an app that has registered; "" is none.
func (s *faultSet) learn(app string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if app != "" && !slices.Contains(s.apps, app) {
		s.apps = append(s.apps, app)
	}
}

// names reports whether a name stands for a function: its id, with or without the app's id and a hyphen before it. As long as no
// app of that id has registered, the app's id may end at any hyphen. The caller holds s.mu.
func (s *faultSet) names(name, functionID string) bool {
	if name == functionID {
		return true
	}
	registered := false
	for _, app := range s.apps {
		if function := sdk.SplitFunctionID(functionID, app); function != functionID {
			registered = true
			if function == name {
				return true
			}
		}
	}
	return !registered && strings.HasSuffix(functionID, "-"+name)
}

// disarm removes a fault. The caller holds s.mu.
func (s *faultSet) disarm(i *Injection) {
	s.armed = slices.DeleteFunc(s.armed, func(j *Injection) bool { return i == j })
}

// armedAt reports whether a fault is armed at a point.
func (s *faultSet) armedAt(p Point) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.armed, func(i *Injection) bool { return i.fault.At == p })
}

// take returns the faults that act at one of these moments, in the sequence of their injection, and counts them. The last
// of them may end the exchange; those before it pause it.
func (s *faultSet) take(moments ...moment) []*Injection {
	s.mu.Lock()
	defer s.mu.Unlock()
	var taken []*Injection
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
				s.disarm(i)
			}
		}
		taken = append(taken, i)
		if !i.fault.Do.pauses() {
			break
		}
	}
	return taken
}

// putBack undoes take for faults that have not acted.
func (s *faultSet) putBack(taken []*Injection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range taken {
		if i.left < 0 || i.over {
			continue
		}
		if i.left++; i.left == 1 {
			s.armed = append(s.armed, i)
		}
	}
}
