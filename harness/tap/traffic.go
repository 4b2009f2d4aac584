package tap

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// A liveCall is a call that the app has not answered yet.
type liveCall struct {
	id       uint64
	function string
	run      string
	attempt  int
	// checkpointed: steps of this call crossed as checkpoints.
	checkpointed atomic.Bool
	// doomed: the server must not learn anything more from this call.
	doomed atomic.Bool
}

// callTable finds the call that a checkpoint belongs to. Calls and checkpoints name the queue item that they work on;
// where an SDK leaves it out, the run decides, provided that just one of its calls is under way.
type callTable struct {
	mu   sync.Mutex
	item map[string]*liveCall
	run  map[string][]*liveCall
}

func newCallTable() *callTable {
	return &callTable{item: map[string]*liveCall{}, run: map[string][]*liveCall{}}
}

func (t *callTable) add(item string, c *liveCall) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if item != "" {
		t.item[item] = c
	}
	t.run[c.run] = append(t.run[c.run], c)
}

func (t *callTable) remove(item string, c *liveCall) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.item[item] == c {
		delete(t.item, item)
	}
	t.run[c.run] = slices.DeleteFunc(t.run[c.run], func(other *liveCall) bool { return other == c })
	if len(t.run[c.run]) == 0 {
		delete(t.run, c.run)
	}
}

// find returns nil where there is no such call, or no telling which.
func (t *callTable) find(item, run string) *liveCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.item[item]; ok && c.run == run {
		return c
	}
	if calls := t.run[run]; len(calls) == 1 {
		return calls[0]
	}
	return nil
}

// plain is what most traffic has in common: it stands for itself, and nothing is left to do when it is over.
type plain struct{}

func (plain) doomed() bool               { return false }
func (plain) dropped(*Injection)         {}
func (plain) swallowed(*Crossing) []byte { return nil }
func (plain) done()                      {}

// callTraffic is a call of a function.
type callTraffic struct {
	plain
	set   *Set
	query url.Values

	item string
	call *liveCall
	seen moment   // what the request tells
	ran  []string // hashed ids of the steps whose end the answer reports
	ops  []string // and of everything else in it
}

func (t *callTraffic) request(body []byte, c *Crossing) {
	var parsed *Call
	parsed, t.item = parseCall(t.query, body)
	c.Call = parsed
	t.call = &liveCall{id: c.ID, function: parsed.Function, run: parsed.Run, attempt: parsed.Attempt}
	t.set.calls.add(t.item, t.call)
	t.seen = moment{function: parsed.Function, run: parsed.Run, attempt: parsed.Attempt, after: parsed.After}
	if parsed.Step != "" {
		t.seen.steps = []string{parsed.Step}
	}
}

func (t *callTraffic) doomed() bool { return t.call.doomed.Load() }

func (t *callTraffic) before() []moment {
	call, step := t.seen, t.seen
	call.at, step.at = AtCall, AtStep
	return []moment{call, step}
}

func (t *callTraffic) after() []moment {
	call, step := t.seen, t.seen
	call.at, step.at = AtCall, AtStep
	call.answer, step.answer = true, true
	call.steps, step.steps = t.ops, t.ran
	return []moment{call, step}
}

func (t *callTraffic) dropped(*Injection) { t.call.doomed.Store(true) }

func (t *callTraffic) answer(status int, header http.Header, body []byte, c *Crossing) {
	parseAnswer(c.Call, status, header, body, t.set.options.MaxPayload)
	c.Call.Checkpointed = t.call.checkpointed.Load()
	for _, o := range c.Call.Ops {
		t.ops = append(t.ops, o.ID)
		if o.Op.Ran() {
			t.ran = append(t.ran, o.ID)
		}
	}
}

func (t *callTraffic) done() { t.set.calls.remove(t.item, t.call) }

// checkpointTraffic is the saving of steps while their call goes on.
type checkpointTraffic struct {
	plain
	set *Set
	run string

	call  *liveCall // nil where unknown
	seen  moment
	steps []string
}

func (t *checkpointTraffic) request(body []byte, c *Crossing) {
	parsed, item := parseCheckpoint(t.run, body, t.set.options.MaxPayload)
	c.Checkpoint = parsed
	t.seen = moment{run: parsed.Run}
	if t.call = t.set.calls.find(item, parsed.Run); t.call != nil {
		parsed.Call, parsed.Function, parsed.Attempt = t.call.id, t.call.function, t.call.attempt
		t.seen.function, t.seen.attempt = t.call.function, t.call.attempt
		t.call.checkpointed.Store(true)
	}
	for _, o := range parsed.Steps {
		t.steps = append(t.steps, o.ID)
	}
}

func (t *checkpointTraffic) doomed() bool { return t.call != nil && t.call.doomed.Load() }

// before is also the moment after the steps ended: they ran in the app.
func (t *checkpointTraffic) before() []moment {
	save, step := t.seen, t.seen
	save.at, step.at, step.answer = AtCheckpoint, AtStep, true
	save.steps, step.steps = t.steps, t.steps
	return []moment{save, step}
}

// after is also the moment before the next step begins: the app waits for this answer.
func (t *checkpointTraffic) after() []moment {
	save, next := t.seen, t.seen
	save.at, save.answer, next.at = AtCheckpoint, true, AtStep
	save.steps = t.steps
	if len(t.steps) == 0 {
		return []moment{save}
	}
	next.after = t.steps[len(t.steps)-1]
	return []moment{save, next}
}

// dropped makes sure that a step's result does not reach the server by another way: an SDK that cannot save a step
// reports it with the answer to the call.
func (t *checkpointTraffic) dropped(i *Injection) {
	if i.fault.At == AtStep && t.call != nil {
		t.call.doomed.Store(true)
	}
}

func (t *checkpointTraffic) answer(int, http.Header, []byte, *Crossing) {}

func (t *checkpointTraffic) swallowed(*Crossing) []byte { return []byte("{}") }

// eventTraffic is a sending of events.
type eventTraffic struct {
	plain
	set   *Set
	names []string
}

func (t *eventTraffic) request(body []byte, c *Crossing) {
	c.Dispatch = &Dispatch{Events: parseEvents(body, t.set.options.MaxPayload)}
	for _, e := range c.Dispatch.Events {
		t.names = append(t.names, e.Name)
	}
}

func (t *eventTraffic) before() []moment { return []moment{{at: AtEvent, events: t.names}} }

func (t *eventTraffic) after() []moment {
	return []moment{{at: AtEvent, events: t.names, answer: true}}
}

func (t *eventTraffic) answer(_ int, header http.Header, body []byte, c *Crossing) {
	c.Dispatch.assign(parseEventIDs(sdk.Decompress(header, body)))
}

// assign records the server's ids, in a slice of its own: earlier snapshots share the other one.
func (d *Dispatch) assign(ids []string) {
	d.Events = slices.Clone(d.Events)
	for i := range min(len(ids), len(d.Events)) {
		d.Events[i].ServerID = ids[i]
	}
}

func (t *eventTraffic) swallowed(c *Crossing) []byte {
	ids := make([]string, len(t.names))
	for i := range ids {
		ids[i] = ulid.Make().String()
	}
	c.Dispatch.assign(ids)
	body, _ := json.Marshal(sdk.SendAnswer{IDs: ids, Status: http.StatusOK})
	return body
}

// syncTraffic is one half of a sync.
type syncTraffic struct {
	plain
	at Point
}

func (t *syncTraffic) request(body []byte, c *Crossing) {
	c.Sync = &Sync{}
	if t.at == AtRegister {
		c.Sync = parseRegister(body)
	}
}

func (t *syncTraffic) before() []moment { return []moment{{at: t.at}} }
func (t *syncTraffic) after() []moment  { return []moment{{at: t.at, answer: true}} }
func (t *syncTraffic) answer(_ int, header http.Header, body []byte, c *Crossing) {
	c.Sync.Message = parseSyncAnswer(header, body)
}
