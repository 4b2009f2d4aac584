package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
)

// call is one call to the app. It is made under the Engine's lock and used outside of it.
type call struct {
	item    *item
	job     string
	handler http.Handler // nil: called at its URL
	req     *http.Request
	read    func(*answer, *clock.Clock) // understands the answer
}

// prepare builds the call for an item. The error says what of it the server cannot encode.
func (m *machine) prepare(it *item) (*call, error) {
	r := it.run
	f := m.current(r.function)
	job := r.ID + "-" + strconv.FormatUint(it.seq, 10)
	if r.endpoint != nil {
		return m.reenter(it, job), nil
	}
	body, err := m.callBody(it, job)
	if err != nil {
		return nil, err
	}
	u := *f.url
	query := u.Query()
	query.Set(sdk.QueryStep, cmp.Or(it.target, sdk.AnyStep)) // in place of the one that some SDKs register
	u.RawQuery = query.Encode()
	req, err := http.NewRequest(http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		panic(fmt.Sprintf("engine: calling %s: %v", &u, err)) // it was parsed at registration
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(sdk.HeaderRunID, r.ID)
	req.Header.Set(sdk.HeaderRequestID, job)
	req.Header.Set(sdk.HeaderJobID, job)
	req.Header.Set(sdk.HeaderServerKind, m.options.kind())
	if m.options.SigningKey != "" {
		// By the wall clock: the app compares the time with its own.
		req.Header.Set(sdk.HeaderSignature, sdk.Sign(m.options.SigningKey, body, time.Now()))
	}
	return &call{item: it, job: job, handler: f.app.handler, req: req, read: (*answer).understand}, nil
}

// current returns the newest definition of a function: deploying new code is registering it, and runs go on with that. The
// address of an app that was removed is still called, as the server does.
func (m *machine) current(f *function) *function {
	if newest := m.registry.functions[f.ID]; newest != nil {
		return newest
	}
	return f
}

func (m *machine) callBody(it *item, job string) ([]byte, error) {
	r := it.run
	event, events, size := r.event.json(), []json.RawMessage{}, 768
	for _, e := range r.triggers() {
		events = append(events, e.json())
		size += len(e.json())
	}
	tooLarge := r.stateSize > maxRequest-1024
	if !tooLarge {
		size += r.stateSize
	}
	if len(event)+size > maxRequest {
		events, tooLarge = []json.RawMessage{}, true
	}
	c := sdk.Call{
		Event: event, Events: events, Steps: map[string]json.RawMessage{}, Defers: r.deferEntries(),
		Version: r.version, UseAPI: tooLarge,
		Context: sdk.CallContext{
			FunctionID: r.function.UUID, RunID: r.ID, StepID: sdk.AnyStep,
			Attempt: sdk.Attempt(it.failures + 1), MaxAttempts: r.function.Attempts,
			Stack:     sdk.Stack{Stack: make([]string, len(r.state)), Current: r.position(it.from)},
			QueueItem: job, RequestID: job, UseAPI: tooLarge,
			PlanFirst: it.planFirst,
		},
	}
	for i, memo := range r.state {
		c.Context.Stack.Stack[i] = memo.id
	}
	if !tooLarge {
		c.Steps = r.memoised()
		if r.input != nil && !r.saved(r.input.id) {
			c.Steps[r.input.id] = r.input.raw
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Steps)) {
		raw, err := canonical(c.Steps[id])
		if err != nil {
			return nil, err
		}
		c.Steps[id] = raw
	}
	body, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("engine: encoding a call of run %s: %v", r.ID, err)) // all that is in it came from JSON
	}
	return body, nil
}

// canonical returns JSON as the server has it in calls, in its canonical form: numbers are doubles. That form has no repeated keys, no
// halves of surrogate pairs and no numbers beyond a double. Values are transformed one by one, since time grows with the square of the keys.
func canonical(raw json.RawMessage) (json.RawMessage, error) {
	list, err := jcs.Transform(slices.Concat([]byte("["), raw, []byte("]"))) // it reads no number that stands alone
	if err != nil {
		return nil, fmt.Errorf("error transforming request with JCS: %w", err)
	}
	return list[1 : len(list)-1], nil
}
