package conformance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// account is what happened, without what may differ: ids, times, and the order of things that happen side by side.
type account struct {
	Runs   []runAccount
	Events []eventAccount
	Errors []string `json:",omitempty"` // of sending and registering
	Order  []string `json:",omitempty"` // of calls
	AtOnce int      `json:",omitempty"` // the most calls
}

// eventAccount is an event of the scenario as a server lists it: one that was sent, or one that the server made of its runs.
type eventAccount struct {
	Name string
	ID   string `json:",omitempty"` // the sender's own, or "RUN": that of the run which it tells of
	Data any
}

type runAccount struct {
	Function string
	Status   string
	Output   any    `json:",omitempty"`
	Error    string `json:",omitempty"`
	Steps    []stepAccount
	Calls    []callAccount
	Reads    *reads `json:",omitempty"`
}

// stepAccount is a step as a server's trace shows it.
type stepAccount struct {
	ID, Op, Status string
	Output         any    `json:",omitempty"`
	Error          string `json:",omitempty"`
	Attempts       []string

	began, ended time.Time // in the server's milliseconds; not compared
}

// callAccount is one call to the app and its answer, as seen by the app.
type callAccount struct {
	Event       string
	Attempt     int
	MaxAttempts int
	Target      string         `json:",omitempty"` // the step to run, if it is one in particular
	PlanFirst   bool           `json:",omitempty"`
	Stack       int            // how many steps are memoised
	Current     int            `json:",omitempty"`
	Steps       map[string]any `json:",omitempty"` // what is memoised
	Status      int
	NoRetry     bool     `json:",omitempty"`
	Answer      []string `json:",omitempty"` // opcode and step
	Request     string   `json:",omitempty"` // to a durable endpoint
}

// recorder sits between a server and an app, and writes down what they say.
type recorder struct {
	app    http.Handler
	mu     sync.Mutex
	labels map[string]string // hashed id → id
	runs   map[string][]callAccount
	order  []string
	slugs  map[string]string // run → function
	calls  int
	last   time.Time
	w      world
	takes  time.Duration
	timed  []timedCall

	allSent chan struct{} // closed when they are
	once    sync.Once
}

// timedCall is when a call began and ended by the server's clock.
type timedCall struct {
	label     string // the function, and data.n of its event
	at, until time.Time
	wave      int
}

func newRecorder(app http.Handler, w world, takes time.Duration) *recorder {
	if takes > 0 {
		w.slow(takes)
	}
	return &recorder{app: app, allSent: make(chan struct{}), w: w, takes: takes, last: time.Now(), labels: map[string]string{}, runs: map[string][]callAccount{}, slugs: map[string]string{}}
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost && req.Header.Get(sdk.HeaderRunID) == "" {
		r.serve(w, req)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	r.busy(+1)
	defer func() {
		r.busy(-1)
		if p := recover(); p != nil {
			r.note(req, body, &httptest.ResponseRecorder{Body: &bytes.Buffer{}})
			panic(p)
		}
	}()
	began := r.w.now()
	r.serve(rec, req)
	r.work()
	r.note(req, body, rec)
	r.time(req, body, began)
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	// The server may have hung up; the account is written.
	_, _ = w.Write(rec.Body.Bytes())
}

// replace puts another app in place of this one.
func (r *recorder) replace(app http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.app = app
}

func (r *recorder) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	app := r.app
	r.mu.Unlock()
	app.ServeHTTP(w, req)
}

func (r *recorder) busy(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls += n
	r.last = time.Now()
}

// quiet returns how long no call has been under way, how many there have been, and of which runs.
func (r *recorder) quiet() (quiet time.Duration, calls int, runs []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls > 0 {
		return 0, 0, nil
	}
	for _, of := range r.runs {
		calls += len(of)
	}
	return time.Since(r.last), calls, slices.Clone(r.order)
}

// time notes when a call began; it ends now, or when sim is told that it ends.
func (r *recorder) time(req *http.Request, body []byte, began time.Time) {
	var c struct {
		Event struct{ Data struct{ N any } }
	}
	_ = json.Unmarshal(body, &c) // of what is no call nothing is compared
	r.mu.Lock()
	defer r.mu.Unlock()
	until := r.w.now()
	if _, real := r.w.(*realWorld); !real {
		until = until.Add(r.takes)
	}
	label := fmt.Sprint(req.URL.Query().Get(sdk.QueryFunction), " ", c.Event.Data.N)
	r.timed = append(r.timed, timedCall{label: label, at: began, until: until})
}

// sent tells that all events are there.
func (r *recorder) sent() { r.once.Do(func() { close(r.allSent) }) }

// work lets a call on the real server take its time.
func (r *recorder) work() {
	if _, real := r.w.(*realWorld); !real || r.takes == 0 {
		return
	}
	<-r.allSent
	time.Sleep(r.takes)
}

// timeline adds to the account what a scenario wants to know of the calls' times.
func (r *recorder) timeline(sc scenario, a *account) {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := slices.SortedStableFunc(slices.Values(r.timed), func(a, b timedCall) int { return a.at.Compare(b.at) })
	for i := range calls {
		c := &calls[i]
		during := 1
		for _, before := range calls[:i] {
			if before.until.After(c.at) {
				during++
			} else {
				c.wave = max(c.wave, before.wave+1)
			}
		}
		if sc.takes > 0 {
			a.AtOnce = max(a.AtOnce, during)
		}
		switch {
		case sc.order:
			a.Order = append(a.Order, c.label)
		case sc.waves:
			a.Order = append(a.Order, fmt.Sprintf("%d: %s", c.wave, c.label))
		case sc.period > 0:
			a.Order = append(a.Order, fmt.Sprintf("%d: %s", c.at.Sub(calls[0].at).Round(sc.period)/sc.period, c.label))
		}
	}
	if !sc.order {
		slices.Sort(a.Order)
	}
}

func (r *recorder) note(req *http.Request, body []byte, rec *httptest.ResponseRecorder) {
	if req.URL.Path != "/api/inngest" {
		r.noteEntry(req, body, rec)
		return
	}
	var c sdk.Call
	if json.Unmarshal(body, &c) != nil {
		return
	}
	ctx := c.Context
	var event sdk.EventName
	_ = json.Unmarshal(c.Event, &event)
	var ops []sdk.Op
	if rec.Code == http.StatusPartialContent {
		_ = json.Unmarshal(rec.Body.Bytes(), &ops) // a garbage answer has none
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	one := callAccount{
		Event: event.Name, Attempt: int(ctx.Attempt), MaxAttempts: ctx.MaxAttempts, PlanFirst: ctx.PlanFirst,
		Stack: len(ctx.Stack.Stack), Current: ctx.Stack.Current, Status: rec.Code, NoRetry: rec.Header().Get(sdk.HeaderNoRetry) == "true",
	}
	for _, o := range ops {
		label := o.Name
		if o.Userland != nil {
			label = o.Userland.ID
			if o.Userland.Index > 0 {
				label += "#"
			}
		}
		r.labels[o.ID] = label
		one.Answer = append(one.Answer, string(o.Op)+" "+label)
	}
	slices.Sort(one.Answer)
	for hash, value := range c.Steps {
		if one.Steps == nil {
			one.Steps = map[string]any{}
		}
		one.Steps[cmp.Or(r.labels[hash], hash)] = scrub(decode(value))
	}
	if target := sdk.TargetStep(req.URL.Query()); target != "" {
		one.Target = cmp.Or(r.labels[target], target)
	}
	id := ctx.RunID
	if _, known := r.runs[id]; !known {
		r.order = append(r.order, id)
		r.slugs[id] = req.URL.Query().Get(sdk.QueryFunction)
	}
	r.runs[id] = append(r.runs[id], one)
}

var (
	ulids  = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b`)
	uuids  = regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)
	times  = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT[\d:.]+Z`)
	ports  = regexp.MustCompile(`127\.0\.0\.1:\d+|app-\d+\.sim\.invalid`)
	stacks = regexp.MustCompile(`(?s)stack:\n.*`)
)

// payload is more than any text in which a server names ids and times has: longer ones are what a scenario sent.
const payload = 1 << 20

// scrub takes ids and times out of a value of JSON.
func scrub(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			switch {
			case k == "ts" || k == "duration":
				x = 0
			case k == "stack":
				continue
			case k == "_inngest":
				x = withoutBookkeeping(x)
			}
			out[k] = scrub(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = scrub(v[i])
		}
		return out
	case string:
		return scrubText(v)
	default:
		return v
	}
}

// withoutBookkeeping leaves of what the server says to itself what a function may want to know: the rest is for its traces.
func withoutBookkeeping(v any) any {
	said, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for _, k := range []string{"status", "fn_id", "correlation_id"} {
		if x, ok := said[k]; ok {
			out[k] = x
		}
	}
	return out
}

func scrubText(s string) string {
	if len(s) > payload { // searching megabytes for ids takes seconds
		return s
	}
	s = stacks.ReplaceAllString(s, "stack: …")
	s, _, _ = strings.Cut(s, "Error field set: ") // what follows is a dump of the server's own
	s = ulids.ReplaceAllString(s, "ULID")
	s = times.ReplaceAllString(s, "TIME")
	s = uuids.ReplaceAllString(s, "UUID")
	return ports.ReplaceAllString(s, "APP")
}

// account puts together what the app saw and what the server says of its runs. loose forgets the order of calls and what
// each of them knew, which depends on timing where steps run side by side.
func (r *recorder) account(read func(runID string) runAccount, loose bool) account {
	r.mu.Lock()
	defer r.mu.Unlock()
	var a account
	for _, id := range r.order {
		one := read(id)
		one.Function = r.slugs[id]
		one.Calls = slices.Clone(r.runs[id])
		if loose {
			for i := range one.Calls {
				one.Calls[i].Steps, one.Calls[i].Stack, one.Calls[i].Current, one.Calls[i].PlanFirst = nil, 0, 0, false
			}
			slices.SortFunc(one.Calls, byJSON)
			slices.SortFunc(one.Steps, byJSON)
		}
		a.Runs = append(a.Runs, one)
	}
	slices.SortStableFunc(a.Runs, func(x, y runAccount) int {
		return cmp.Or(cmp.Compare(x.Function, y.Function), byJSON(x.unordered(), y.unordered()))
	})
	return a
}

// unordered is the run with its steps in an order that does not depend on when they began.
func (r runAccount) unordered() runAccount {
	r.Steps = slices.Clone(r.Steps)
	slices.SortFunc(r.Steps, byJSON)
	return r
}

// orderTies puts the steps of the real server that began and ended in the same millisecond of its clock, and of which it
// shows any first, into the order in which sim has them.
func orderTies(onServer, onSim account) {
	for i := range min(len(onServer.Runs), len(onSim.Runs)) {
		steps, wanted := onServer.Runs[i].Steps, onSim.Runs[i].Steps
		place := func(s stepAccount) int {
			return slices.IndexFunc(wanted, func(w stepAccount) bool { return byJSON(w, s) == 0 })
		}
		for first := 0; first < len(steps); {
			last := first + 1
			for last < len(steps) && steps[last].began.Equal(steps[first].began) && steps[last].ended.Equal(steps[first].ended) {
				last++
			}
			slices.SortStableFunc(steps[first:last], func(a, b stepAccount) int { return cmp.Compare(place(a), place(b)) })
			first = last
		}
	}
}

// events picks the scenario's own out of a server's list: those named after its app, and those that tell of its runs.
func (r *recorder) events(app string, listed []inngestapi.ReceivedEvent) []eventAccount {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []eventAccount
	for _, e := range listed {
		if !strings.HasPrefix(e.Name, app+"/") && !slices.ContainsFunc(r.order, func(run string) bool { return bytes.Contains(e.Data, []byte(run)) }) {
			continue
		}
		one := eventAccount{Name: e.Name, Data: scrub(decode(e.Data))}
		switch own := scrubText(e.IdempotencyKey); {
		case slices.Contains(r.order, e.IdempotencyKey):
			one.ID = "RUN"
		case own != "ULID": // which both servers draw for an event without a key
			one.ID = own
		}
		out = append(out, one)
	}
	slices.SortFunc(out, byJSON)
	return out
}

func byJSON[T any](a, b T) int {
	x, _ := json.Marshal(a) // accounts are made of JSON
	y, _ := json.Marshal(b)
	return bytes.Compare(x, y)
}
