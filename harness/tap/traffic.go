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
	id         uint64 // of the exchange
	item       string // the queue item
	functionID string
	runID      string
	attempt    int
	// checkpointed: steps of this call were sent as checkpoints.
	checkpointed atomic.Bool
	// cutOff: nothing more of this call may reach the server.
	cutOff atomic.Bool
	// abandoned is closed when the server is made to give the call up.
	abandoned chan struct{}
	abandon   sync.Once
}

func (c *liveCall) isAbandoned() bool {
	select {
	case <-c.abandoned:
		return true
	default:
		return false
	}
}

// liveCalls finds the call that a checkpoint belongs to. Calls and checkpoints name their queue item; where an SDK leaves
// it out, the run decides if exactly one of its calls is under way.
type liveCalls struct {
	mu    sync.Mutex
	calls []*liveCall
}

func (l *liveCalls) add(c *liveCall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
}

func (l *liveCalls) remove(c *liveCall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = slices.DeleteFunc(l.calls, func(other *liveCall) bool { return other == c })
}

// of returns the calls of a run, all with the run "".
func (l *liveCalls) of(runID string) []*liveCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.calls), func(c *liveCall) bool { return runID != "" && c.runID != runID })
}

// find returns nil if there is no such call, or more than one.
func (l *liveCalls) find(item, runID string) *liveCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ofRun []*liveCall
	for _, c := range l.calls {
		switch {
		case c.runID != runID:
		case item != "" && c.item == item:
			return c
		default:
			ofRun = append(ofRun, c)
		}
	}
	if len(ofRun) != 1 {
		return nil
	}
	return ofRun[0]
}

// traffic is one kind of message of the protocol. A value is used for one request and its answer.
type traffic interface {
	// request reads the request into the record.
	request(body []byte, x *Exchange)
	// cutOff reports whether an earlier fault has cut this exchange off too.
	cutOff() bool
	// before and after are the moments before and after the far side has acted.
	before() []moment
	after() []moment
	// onCut is called when a fault has cut the exchange at before or after.
	onCut(*Injection)
	// answer reads the answer into the record.
	answer(status int, header http.Header, body []byte, x *Exchange)
	// fakeAnswer returns the answer to a request that [Discard] does not pass on.
	fakeAnswer(x *Exchange) []byte
	// done is called when the exchange is over, however it ended.
	done()
}

// baseTraffic implements the methods that most kinds do not need.
type baseTraffic struct{}

func (baseTraffic) cutOff() bool                { return false }
func (baseTraffic) onCut(*Injection)            {}
func (baseTraffic) fakeAnswer(*Exchange) []byte { return nil }
func (baseTraffic) done()                       {}

// callTraffic is a call of a function.
type callTraffic struct {
	baseTraffic
	set   *Set
	query url.Values

	call   *liveCall
	known  moment   // what the request says
	target []string // hashed id of the one step that it is to run, if it names one
	ran    []string // hashed ids of the steps whose end the answer reports
	ops    []string // hashed ids of all its opcodes
}

func (t *callTraffic) request(body []byte, x *Exchange) {
	parsed, item := parseCall(t.query, body)
	x.Call = parsed
	t.call.id, t.call.item, t.call.functionID, t.call.runID, t.call.attempt = x.ID, item, parsed.FunctionID, parsed.RunID, parsed.Attempt
	t.set.calls.add(t.call)
	t.known = moment{functionID: parsed.FunctionID, runID: parsed.RunID, attempt: parsed.Attempt, after: parsed.After}
	if parsed.Step != "" {
		t.target = []string{parsed.Step}
	}
}

func (t *callTraffic) cutOff() bool { return t.call.cutOff.Load() }

func (t *callTraffic) before() []moment {
	return []moment{t.known.passing(AtCall, false, t.target), t.known.passing(AtStep, false, t.target)}
}

func (t *callTraffic) after() []moment {
	return []moment{t.known.passing(AtCall, true, t.ops), t.known.passing(AtStep, true, t.ran)}
}

func (t *callTraffic) onCut(*Injection) { t.call.cutOff.Store(true) }

func (t *callTraffic) answer(status int, header http.Header, body []byte, x *Exchange) {
	parseAnswer(x.Call, status, header, body, t.set.options.MaxPayload)
	x.Call.Checkpointed = t.call.checkpointed.Load()
	for _, o := range x.Call.Ops {
		t.ops = append(t.ops, o.ID)
		if o.Op.Ran() {
			t.ran = append(t.ran, o.ID)
		}
	}
}

func (t *callTraffic) done() { t.set.calls.remove(t.call) }

// checkpointTraffic is a checkpoint: the app saves steps while their call goes on.
type checkpointTraffic struct {
	baseTraffic
	set *Set
	run string

	call  *liveCall // nil where unknown
	known moment
	steps []string
}

func (t *checkpointTraffic) request(body []byte, x *Exchange) {
	parsed, item := parseCheckpoint(t.run, body, t.set.options.MaxPayload)
	x.Checkpoint = parsed
	t.known = moment{runID: parsed.RunID}
	if t.call = t.set.calls.find(item, parsed.RunID); t.call != nil {
		parsed.Call, parsed.FunctionID, parsed.Attempt = t.call.id, t.call.functionID, t.call.attempt
		t.known.functionID, t.known.attempt = t.call.functionID, t.call.attempt
		t.call.checkpointed.Store(true)
	}
	for _, o := range parsed.Steps {
		t.steps = append(t.steps, o.ID)
	}
}

func (t *checkpointTraffic) cutOff() bool { return t.call != nil && t.call.cutOff.Load() }

// before is also the moment after the steps ended, since they ran in the app.
func (t *checkpointTraffic) before() []moment {
	return []moment{t.known.passing(AtCheckpoint, false, t.steps), t.known.passing(AtStep, true, t.steps)}
}

// after is also the moment before the next step begins, since the app waits for this answer.
func (t *checkpointTraffic) after() []moment {
	save, next := t.known.passing(AtCheckpoint, true, t.steps), t.known.passing(AtStep, false, nil)
	if len(t.steps) == 0 {
		return []moment{save}
	}
	next.after = t.steps[len(t.steps)-1]
	return []moment{save, next}
}

// onCut keeps the step's result from reaching the server in another message: an SDK that cannot save a step reports it
// with the answer to the call.
func (t *checkpointTraffic) onCut(i *Injection) {
	if i.fault.At == AtStep && t.call != nil {
		t.call.cutOff.Store(true)
	}
}

func (t *checkpointTraffic) answer(int, http.Header, []byte, *Exchange) {}

func (t *checkpointTraffic) fakeAnswer(*Exchange) []byte { return []byte("{}") }

// eventTraffic is a request by which the app sends events.
type eventTraffic struct {
	baseTraffic
	set   *Set
	names []string
}

func (t *eventTraffic) request(body []byte, x *Exchange) {
	x.Dispatch = &Dispatch{Events: parseEvents(body, t.set.options.MaxPayload)}
	for _, e := range x.Dispatch.Events {
		t.names = append(t.names, e.Name)
	}
}

func (t *eventTraffic) before() []moment { return []moment{{at: AtEvent, events: t.names}} }
func (t *eventTraffic) after() []moment {
	return []moment{{at: AtEvent, events: t.names, answer: true}}
}

func (t *eventTraffic) answer(_ int, header http.Header, body []byte, x *Exchange) {
	var a sdk.SendAnswer
	_ = json.Unmarshal(sdk.Decompress(header, body), &a)
	x.Dispatch.assign(a.IDs)
}

// assign records the server's ids. It copies the events, which earlier snapshots share.
func (d *Dispatch) assign(ids []string) {
	d.Events = slices.Clone(d.Events)
	for i := range min(len(ids), len(d.Events)) {
		d.Events[i].EventID = ids[i]
	}
}

func (t *eventTraffic) fakeAnswer(x *Exchange) []byte {
	ids := make([]string, len(t.names))
	for i := range ids {
		ids[i] = ulid.Make().String()
	}
	x.Dispatch.assign(ids)
	body, _ := json.Marshal(sdk.SendAnswer{IDs: ids, Status: http.StatusOK})
	return body
}

// syncTraffic is one half of a sync.
type syncTraffic struct {
	baseTraffic
	set *Set
	at  Point
}

func (t *syncTraffic) request(body []byte, x *Exchange) {
	x.Sync = &Sync{}
	if t.at == AtRegister {
		x.Sync = parseRegister(body)
		t.set.faults.learn(x.Sync.App)
	}
}

func (t *syncTraffic) before() []moment { return []moment{{at: t.at}} }
func (t *syncTraffic) after() []moment  { return []moment{{at: t.at, answer: true}} }
func (t *syncTraffic) answer(_ int, header http.Header, body []byte, x *Exchange) {
	x.Sync.Message = parseSyncAnswer(header, body)
	t.set.faults.learn(parseInBand(header, body))
}
