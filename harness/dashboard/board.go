package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/timeline"
)

// The states of an event in one word. Waiting means that nothing has started yet, Running that a run is under way or more
// may come.
const (
	stateUnsubscribed timeline.State = "unsubscribed" // no function subscribes to it
	stateDuplicate    timeline.State = "duplicate"    // the server has seen its id, and starts nothing
	stateMail         timeline.State = "mail"         // not an event: an email that belongs to none
)

const noFunction = "no function subscribes to it"

// row is a line of the board: an event with what came of it, or an email that belongs to no event. It is encoded for
// the page as it stands, with short keys since there are thousands.
type row struct {
	ID    string         `json:"id"`
	Key   string         `json:"key,omitempty"` // the event's idempotency key
	Name  string         `json:"name"`
	At    time.Time      `json:"-"`
	Data  string         `json:"data,omitempty"`
	State timeline.State `json:"state"`
	// Took is the time in milliseconds until the last thing that is known to have happened.
	Took int64     `json:"took"`
	Note string    `json:"note,omitempty"`
	Runs []rowRun  `json:"runs,omitempty"`
	Mail []rowMail `json:"mail,omitempty"`

	rev uint64 // of the board, at its last change
}

type rowRun struct {
	ID       string         `json:"id"`
	Function string         `json:"fn"`
	State    timeline.State `json:"state"`
	Steps    []rowStep      `json:"steps,omitempty"`
}

type rowStep struct {
	ID    string         `json:"id"`
	State timeline.State `json:"state"`
	Tries int            `json:"tries,omitempty"`
}

type rowMail struct {
	ID      string `json:"id"`
	To      string `json:"to"`
	Subject string `json:"subject"`
	run     string
	at      time.Time
}

// MarshalJSON adds the time, in milliseconds since 1970.
func (r *row) MarshalJSON() ([]byte, error) {
	type plain row
	return json.Marshal(struct {
		*plain
		At int64 `json:"at"`
	}{(*plain)(r), r.At.UnixMilli()})
}

// board is what the page shows. A reader holds a revision and comes back for what has changed since, so that a slow reader
// delays no other. It is safe for concurrent use.
type board struct {
	keep int

	mu      sync.Mutex
	rev     uint64
	wake    chan struct{} // closed by the next change
	rows    map[string]*row
	order   []string          // ids of rows, oldest arrival first, for dropping them
	loose   map[string]bool   // rows that are emails
	gone    map[string]uint64 // removed rows → rev of the removal
	reset   uint64            // a reader that has seen no later rev begins anew
	byKey   map[string]string // idempotency key → row
	runs    map[string]string // run → id or idempotency key of the event that it descends from
	started map[string]bool   // ids and idempotency keys of events that have started a run
	state   stackState
	since   uint64 // rev of state
}

// stackState is what there is to say about the stack as a whole.
type stackState struct {
	Services []serviceState `json:"services"`
	App      appState       `json:"app"`
	Inbox    int            `json:"inbox"`
}

type serviceState struct {
	Name    string `json:"name"`
	Title   string `json:"title,omitempty"` // of a mail catcher
	State   string `json:"state"`           // up, down
	Detail  string `json:"detail"`
	URL     string `json:"url,omitempty"`
	Problem string `json:"problem,omitempty"`
}

type appState struct {
	State     string   `json:"state"` // none, synced, unsynced
	Detail    string   `json:"detail"`
	Functions []string `json:"functions,omitempty"`
}

// change is what a reader has to learn.
type change struct {
	Reset bool        `json:"reset,omitempty"`
	Rows  []*row      `json:"rows,omitempty"`
	Gone  []string    `json:"gone,omitempty"`
	Stack *stackState `json:"stack,omitempty"`
}

func newBoard(keep int) *board {
	// A reader that has seen nothing is at revision 0: even an empty board is past that.
	return &board{keep: keep, rev: 1, wake: make(chan struct{}), rows: map[string]*row{}, loose: map[string]bool{}, byKey: map[string]string{}, runs: map[string]string{}, started: map[string]bool{}, gone: map[string]uint64{}}
}

// changed wakes the readers after a change of a row. The caller holds b.mu.
func (b *board) changed(r *row) {
	b.rev++
	if r != nil {
		r.rev = b.rev
	}
	close(b.wake)
	b.wake = make(chan struct{})
}

// put adds a row. The caller holds b.mu.
func (b *board) put(r *row) {
	// Most rows are the newest when they come. A trace may correct a time by milliseconds later, which is of no matter.
	i, _ := slices.BinarySearchFunc(b.order, r.At, func(id string, at time.Time) int {
		return cmp.Or(b.rows[id].At.Compare(at), -1) // after those of the same time
	})
	b.rows[r.ID] = r
	delete(b.gone, r.ID)
	b.order = slices.Insert(b.order, i, r.ID)
	for len(b.rows) > b.keep {
		b.remove(b.order[0])
	}
	b.changed(r)
}

// keptDepartures bounds how many departures are remembered: a reader that missed one starts anew.
const keptDepartures = 4096

// remove takes a row out. The caller holds b.mu.
func (b *board) remove(id string) {
	r, ok := b.rows[id]
	if !ok {
		return
	}
	delete(b.rows, id)
	delete(b.loose, id)
	if b.byKey[r.Key] == id {
		delete(b.byKey, r.Key)
	}
	for _, run := range r.Runs {
		delete(b.runs, run.ID)
	}
	delete(b.started, r.ID)
	delete(b.started, r.Key)
	if i := slices.Index(b.order, id); i >= 0 {
		b.order = slices.Delete(b.order, i, i+1)
	}
	b.changed(nil)
	b.gone[id] = b.rev
	if len(b.gone) > keptDepartures {
		clear(b.gone)
		b.reset = b.rev
	}
}

// changes returns what has changed after a revision, the revision reached, and a channel that closes at the next change.
// only, if not empty, is the one row of interest.
func (b *board) changes(after uint64, only string) (change, uint64, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := change{Reset: after == 0 || after < b.reset}
	if c.Reset {
		after = 0
	}
	for _, r := range b.rows {
		if r.rev > after && (only == "" || r.ID == only) {
			copied := *r
			c.Rows = append(c.Rows, &copied)
		}
	}
	slices.SortFunc(c.Rows, func(x, y *row) int { return cmp.Or(y.At.Compare(x.At), cmp.Compare(y.ID, x.ID)) })
	for id, rev := range b.gone {
		if rev > after && !c.Reset && (only == "" || id == only) {
			c.Gone = append(c.Gone, id)
		}
	}
	if b.since > after || c.Reset {
		state := b.state
		c.Stack = &state
	}
	return c, b.rev, b.wake
}

func (c change) empty() bool {
	return !c.Reset && len(c.Rows) == 0 && len(c.Gone) == 0 && c.Stack == nil
}

// event adds an event. It reports whether the event is new.
func (b *board) event(id, key, name string, data []byte, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.rows[id]; known {
		return false
	}
	if key == id {
		key = ""
	}
	r := &row{ID: id, Key: key, Name: name, At: at, Data: brief(data), State: timeline.Waiting}
	if key != "" && b.byKey[key] == "" {
		b.byKey[key] = id
	}
	b.put(r)
	b.adopt()
	return true
}

// awaitMention waits for an event that came after a time and names an id, in its data or in its idempotency key, and returns the
// event's id; "" when ctx ends.
func (b *board) awaitMention(ctx context.Context, id string, after time.Time) string {
	for {
		event, wake := b.mention(id, after)
		if event != "" {
			return event
		}
		select {
		case <-ctx.Done():
			return ""
		case <-wake:
		}
	}
}

// clockSlack is how far the server's time of an event may be before the time here.
const clockSlack = time.Second

func (b *board) mention(id string, after time.Time) (event string, wake <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, known := range slices.Backward(b.order) {
		r := b.rows[known]
		if r.At.Before(after.Add(-clockSlack)) {
			break
		}
		if r.State != stateMail && (strings.Contains(r.Key, id) || strings.Contains(r.Data, id)) {
			event = known // the first of several: the others followed from it
		}
	}
	return event, b.wake
}

// run notes that a run descends from an event, which either of its ids names. It returns the id of the event's row; empty
// if there is none yet.
func (b *board) run(run, event string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if run == "" {
		return ""
	}
	if event != "" && b.runs[run] == "" {
		b.runs[run], b.started[event] = event, true
		b.adopt()
	}
	return b.rowOf(run)
}

// rowOf finds the row of a run. The caller holds b.mu.
func (b *board) rowOf(run string) string {
	event := b.runs[run]
	if _, ok := b.rows[event]; ok {
		return event
	}
	return b.byKey[event]
}

// mailPrefix begins the id of a row that is an email.
const mailPrefix = "mail-"

// mail adds an email, to the row of its run where that is known.
func (b *board) mail(m *harness.Message, run string) (event string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mail := rowMail{ID: m.ID, To: strings.Join(m.Envelope.To, ", "), Subject: m.Subject, run: run, at: m.Received}
	if id := b.rowOf(run); id != "" {
		b.attach(b.rows[id], mail)
		return id
	}
	if b.rows[mailPrefix+m.ID] == nil {
		b.loose[mailPrefix+m.ID] = true
		b.put(&row{ID: mailPrefix + m.ID, Name: m.Subject, At: m.Received, State: stateMail, Mail: []rowMail{mail}})
	}
	return ""
}

// attach adds an email to a row. The caller holds b.mu.
func (b *board) attach(r *row, m rowMail) {
	if slices.ContainsFunc(r.Mail, func(o rowMail) bool { return o.ID == m.ID }) {
		return
	}
	r.Mail = append(slices.Clone(r.Mail), m)
	r.Took = max(r.Took, m.at.Sub(r.At).Milliseconds())
	b.changed(r)
}

// adopt moves emails to the rows of their runs, where those have become known. The caller holds b.mu.
func (b *board) adopt() {
	for id := range b.loose {
		mail := b.rows[id].Mail[0]
		if event := b.rowOf(mail.run); event != "" {
			b.remove(id)
			b.attach(b.rows[event], mail)
		}
	}
}

// trace updates a row from a trace.
func (b *board) trace(tr *harness.Trace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rows[tr.EventID]
	if r == nil || tr.Event == nil {
		return
	}
	r.State, r.Note = stateOf(tr)
	r.Runs = nil
	last := tr.Event.Received
	for i := range tr.Runs {
		run := &tr.Runs[i]
		r.Runs = append(r.Runs, rowRunOf(run))
		b.runs[run.ID] = r.ID
		last = latest(last, run.Ended)
		if run.Ended.IsZero() {
			last = latest(last, run.Started)
		}
	}
	r.At = tr.Event.Received
	// An email that has been pushed stays, even if the trace was taken before it came.
	for _, m := range tr.Mail {
		b.attach(r, rowMail{ID: m.ID, To: strings.Join(m.Envelope.To, ", "), Subject: m.Subject, run: m.RunID, at: m.Received})
	}
	for _, m := range r.Mail {
		last = latest(last, m.at)
	}
	r.Took = max(0, last.Sub(r.At).Milliseconds())
	b.changed(r)
	b.adopt()
}

// unsubscribed notes that no function subscribes to an event. It does so only for an event that came before a time, at
// which subscribed was true, and that started no run. It reports whether it did.
func (b *board) unsubscribed(id string, subscribed func(name string) bool, before time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rows[id]
	if r == nil || subscribed(r.Name) || b.started[id] || b.started[r.Key] || len(r.Runs) > 0 || !r.At.Before(before) {
		return false
	}
	r.State, r.Note = stateUnsubscribed, noFunction
	b.changed(r)
	return true
}

// forgetMail takes the emails off the board that came before a time, after the inbox was emptied.
func (b *board) forgetMail(before time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range slices.Clone(b.order) {
		r := b.rows[id]
		left := slices.DeleteFunc(slices.Clone(r.Mail), func(m rowMail) bool { return m.at.Before(before) })
		switch {
		case len(left) == len(r.Mail):
		case r.State == stateMail:
			b.remove(id)
		default:
			r.Mail = left
			b.changed(r)
		}
	}
}

func (b *board) setStack(s stackState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was, _ := json.Marshal(b.state)
	if now, _ := json.Marshal(s); bytes.Equal(was, now) {
		return
	}
	b.state = s
	b.changed(nil)
	b.since = b.rev
}

// stateOf returns the state of an event, and a sentence about it where one is needed.
func stateOf(tr *harness.Trace) (state timeline.State, note string) {
	for _, r := range tr.Runs {
		if r.Status == harness.StatusFailed || r.Status == harness.StatusCancelled {
			return timeline.Failed, cmp.Or(r.Error, "cancelled")
		}
	}
	switch {
	case tr.Event.DuplicateOf != "" && len(tr.Runs) == 0:
		return stateDuplicate, "the server has seen its id and starts nothing"
	case len(tr.Functions) == 0 && len(tr.Runs) == 0:
		return stateUnsubscribed, cmp.Or(tr.SyncError, noFunction)
	case tr.Quiet && len(tr.Runs) == 0:
		return timeline.Completed, tr.Functions[0].ID + " was not started: " + tr.Functions[0].NotStarted
	case tr.Quiet:
		return timeline.Completed, ""
	case len(tr.Runs) == 0:
		return timeline.Waiting, tr.Unquiet
	}
	for _, r := range tr.Runs {
		for _, s := range r.Steps {
			if s.Error != "" && r.Ended.IsZero() {
				return timeline.Running, s.Error
			}
			for _, a := range s.Attempts {
				if a.Error != "" && r.Ended.IsZero() && s.Status != harness.StatusCompleted {
					return timeline.Running, a.Error
				}
			}
		}
	}
	return timeline.Running, ""
}

func rowRunOf(r *harness.TraceRun) rowRun {
	out := rowRun{ID: r.ID, Function: r.Function, State: timeline.StateOf(r.Status)}
	for _, s := range r.Steps {
		step := rowStep{ID: s.ID, State: timeline.StateOf(s.Status)}
		if len(s.Attempts) > 1 {
			step.Tries = len(s.Attempts)
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// briefLength bounds, in characters, what a row shows of its event's data, and briefValue each value in it: the ids stand
// last, and the filter must find them.
const briefLength, briefValue = 480, 80

// identifier matches values that are ids rather than text.
var identifier = regexp.MustCompile(`^[0-9A-Za-z]{8,}[0-9A-Za-z-]*$`)

// brief makes one short line of an event's data: first the values that are text, then the ids.
func brief(data []byte) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return ""
	}
	var plain, ids []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := string(fields[name])
		var plainText string
		if json.Unmarshal(fields[name], &plainText) == nil {
			value = text.OneLine(plainText)
		}
		line := name + ": " + text.Clip(value, briefValue)
		if strings.ContainsAny(value, "0123456789") && identifier.MatchString(value) {
			ids = append(ids, line)
		} else {
			plain = append(plain, line)
		}
	}
	return text.Clip(strings.Join(append(plain, ids...), "  "), briefLength)
}
