package inbox

import (
	"slices"
	"strings"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// index is what the client knows of the inbox: every message once, in the order in which it was learnt, findable by
// recipient and by run. It is not safe for concurrent use.
type index struct {
	runHeader string
	byID      map[string]*entry
	// lists holds the messages by key: "" for all, and those of keyTo and keyRun. Each is in the order of seq.
	lists map[string][]*entry
	seq   uint64
	// unsettled counts the messages that no walk has seen.
	unsettled int
	waiters   map[string][]*waiter
}

// entry is a message in the index, decoded when somebody looks at it.
type entry struct {
	stored
	// seq counts the messages in the order in which they were learnt, from 1.
	seq uint64
	// settled says that all messages that MailHog took before this one are in the index, or were deleted.
	settled bool
	// keys are the lists that it stands in.
	keys []string

	once    sync.Once
	decoded *harness.Message
}

// waiter is somebody who waits for a message with a key.
type waiter struct {
	key  string
	wake chan struct{} // holds one token: "look again"
}

func newIndex(runHeader string) *index {
	return &index{
		runHeader: runHeader,
		byID:      map[string]*entry{},
		lists:     map[string][]*entry{},
		waiters:   map[string][]*waiter{},
	}
}

func keyTo(address string) string { return "to:" + normalAddress(address) }
func keyRun(run string) string    { return "run:" + run }

// normalAddress makes equal addresses equal strings. Only the domain ignores case (RFC 5321, 2.4).
func normalAddress(address string) string {
	address = strings.TrimSpace(address)
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return address[:at] + strings.ToLower(address[at:])
	}
	return address
}

// add puts a message into the index unless it is there, wakes whoever waits for one like it, and returns its entry.
func (ix *index) add(m stored) *entry {
	if e := ix.byID[m.ID]; e != nil {
		return e
	}
	ix.seq++
	ix.unsettled++
	e := &entry{stored: m, seq: ix.seq, keys: []string{""}}
	for _, to := range m.Raw.To {
		if key := keyTo(to); !slices.Contains(e.keys, key) {
			e.keys = append(e.keys, key)
		}
	}
	header, _, _ := strings.Cut(m.Raw.Data, "\r\n\r\n")
	if run := rawHeader([]byte(header), ix.runHeader); run != "" {
		e.keys = append(e.keys, keyRun(run))
	}
	ix.byID[m.ID] = e
	for _, key := range e.keys {
		ix.lists[key] = append(ix.lists[key], e)
		for _, w := range ix.waiters[key] {
			w.notify()
		}
	}
	return e
}

// settle marks a message that a walk has seen.
func (ix *index) settle(e *entry) {
	if !e.settled {
		e.settled = true
		ix.unsettled--
	}
}

// after returns the messages with a key that were learnt after the one numbered seq.
func (ix *index) after(key string, seq uint64) []*entry {
	list := ix.lists[key]
	i, _ := slices.BinarySearchFunc(list, seq, func(e *entry, seq uint64) int {
		if e.seq <= seq {
			return -1
		}
		return 1
	})
	return slices.Clone(list[i:])
}

// remove takes out the messages for which gone says so.
func (ix *index) remove(gone func(*entry) bool) {
	touched := map[string]bool{}
	for id, e := range ix.byID {
		if !gone(e) {
			continue
		}
		delete(ix.byID, id)
		if !e.settled {
			ix.unsettled--
		}
		for _, key := range e.keys {
			touched[key] = true
		}
	}
	for key := range touched {
		list := slices.DeleteFunc(slices.Clone(ix.lists[key]), func(e *entry) bool { return ix.byID[e.ID] != e })
		if ix.lists[key] = list; len(list) == 0 {
			delete(ix.lists, key)
		}
	}
}

func (ix *index) wait(key string) *waiter {
	w := &waiter{key: key, wake: make(chan struct{}, 1)}
	ix.waiters[key] = append(ix.waiters[key], w)
	return w
}

func (ix *index) stopWaiting(w *waiter) {
	rest := slices.DeleteFunc(ix.waiters[w.key], func(o *waiter) bool { return o == w })
	if ix.waiters[w.key] = rest; len(rest) == 0 {
		delete(ix.waiters, w.key)
	}
}

func (w *waiter) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
