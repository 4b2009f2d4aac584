package inbox

import (
	"slices"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
)

// index is what the client knows of the inbox: every message once, in the order in which it was added, findable by
// recipient and by run. It is safe for concurrent use.
type index struct {
	runHeader string

	mu   sync.Mutex
	byID map[string]*entry
	// lists holds the messages by key: "" for all, and those of keyTo and keyRun. Each is in the order of seq.
	lists map[string][]*entry
	seq   uint64
	// unsettled counts the messages that no walk has seen.
	unsettled int
	// added is closed, and replaced by another channel, when a message is added.
	added chan struct{}
}

// entry is a message in the index, decoded when it is first asked for.
type entry struct {
	stored
	// seq counts the messages in the order in which they were added, from 1.
	seq uint64
	// settled says that all messages that MailHog received before this one are in the index, or were deleted.
	settled bool
	// keys are the lists that it stands in.
	keys []string

	once    sync.Once
	decoded *harness.Message
}

func newIndex(runHeader string) *index {
	return &index{
		runHeader: runHeader,
		byID:      map[string]*entry{},
		lists:     map[string][]*entry{},
		added:     make(chan struct{}),
	}
}

func keyTo(recipient string) string { return "to:" + address.Key(recipient) }
func keyRun(run string) string      { return "run:" + run }

// add puts a message into the index unless it is there.
func (ix *index) add(m stored) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.addLocked(m)
}

// addLocked is add, and returns the message's entry. It closes added.
func (ix *index) addLocked(m stored) *entry {
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
	headers, _ := parseHeaders(m.Raw.Data, func(string) bool { return false }, func(string, ...any) {})
	if run := (&harness.Message{Headers: headers}).Header(ix.runHeader); run != "" {
		e.keys = append(e.keys, keyRun(run))
	}
	ix.byID[m.ID] = e
	for _, key := range e.keys {
		ix.lists[key] = append(ix.lists[key], e)
	}
	close(ix.added)
	ix.added = make(chan struct{})
	return e
}

// get returns the message with this id, nil if there is none.
func (ix *index) get(id string) *entry {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return ix.byID[id]
}

// settled reports whether a message is known, with all those before it.
func (ix *index) settled(id string) bool {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	e := ix.byID[id]
	return e != nil && e.settled
}

// size returns how many messages are known, how many of them no walk has seen, and the number of the last one that was
// added.
func (ix *index) size() (known, unsettled int, seq uint64) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return len(ix.byID), ix.unsettled, ix.seq
}

// after returns the messages with a key that were added after the one numbered seq, and a channel that is closed when
// another one is added.
func (ix *index) after(key string, seq uint64) (found []*entry, added <-chan struct{}) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	list := ix.lists[key]
	i, _ := slices.BinarySearchFunc(list, seq, func(e *entry, seq uint64) int {
		if e.seq <= seq {
			return -1
		}
		return 1
	})
	return slices.Clone(list[i:]), ix.added
}

// merge adds what a walk found that began when before was the number of the last message and known messages were in the
// index. What it should have found and did not is removed. It reports whether messages are missing that the walk did not
// come to.
func (ix *index) merge(w *walked, before uint64, known int) (missing bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	seen := make(map[string]bool, len(w.items))
	for _, m := range slices.Backward(w.items) {
		e := ix.addLocked(m)
		if !e.settled {
			e.settled = true
			ix.unsettled--
		}
		seen[m.ID] = true
		if e.seq > before {
			known++
		}
	}
	if w.end {
		ix.removeLocked(func(e *entry) bool { return e.seq <= before && !seen[e.ID] })
		return false
	}
	return w.total < known
}

// remove takes out the messages for which gone says so.
func (ix *index) remove(gone func(*entry) bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.removeLocked(gone)
}

func (ix *index) removeLocked(gone func(*entry) bool) {
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
