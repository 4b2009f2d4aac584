package sim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

const (
	maxRequest  = 4 << 20 // above this the app must fetch the state itself
	maxResponse = 8 << 20
)

// call is everything one call to the app needs; it is made under the lock and used outside of it.
type call struct {
	item     *item
	function *function
	handler  http.Handler
	body     []byte
	target   string
	run      string
	job      string
}

// prepare builds the call for an item. The lock is held.
func (s *Sim) prepare(it *item) *call {
	r := it.run
	f := s.current(r.function)
	if f == nil {
		f = r.function // the app was removed; its address is still called, as the server does
	}
	job := r.text + "-" + strconv.FormatUint(it.seq, 10)
	return &call{item: it, function: f, handler: f.app.handler, body: s.request(it, job), target: it.target, run: r.text, job: job}
}

// request is the body of the call.
func (s *Sim) request(it *item, job string) []byte {
	r := it.run
	event := r.event.json()
	tooLarge := r.stateSize > maxRequest-1024 || 2*len(event)+r.stateSize+768 > maxRequest
	c := sdk.Call{
		Event: event, Events: []json.RawMessage{}, Steps: map[string]json.RawMessage{}, Version: r.version, UseAPI: tooLarge,
		Context: sdk.CallContext{
			FunctionID: r.function.uuid.String(), RunID: r.text, StepID: sdk.AnyStep,
			Attempt: sdk.Attempt(it.attempt + 1), MaxAttempts: r.function.attempts,
			Stack:     sdk.Stack{Stack: make([]string, len(r.state)), Current: r.position(it.from)},
			QueueItem: job, RequestID: job, PlanFirst: r.planFirst || it.planFirst || s.mustPlan(r.function), UseAPI: tooLarge,
		},
	}
	for i, m := range r.state {
		c.Context.Stack.Stack[i] = m.id
		if !tooLarge {
			c.Steps[m.id] = m.raw
		}
	}
	if !tooLarge {
		c.Events = append(c.Events, event)
	}
	body, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("sim: encoding a call of run %s: %v", r.text, err)) // all that is in it came from JSON
	}
	return body
}

// position is how many steps were memoised when the step that a call leaves from was.
func (r *run) position(from string) int {
	return r.known.find(from) + 1
}

func (s *Sim) newRequest(ctx context.Context, c *call) *http.Request {
	u := *c.function.url
	query := u.Query()
	query.Set(sdk.QueryStep, cmp.Or(c.target, sdk.AnyStep)) // in place of the one that some SDKs put there
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(c.body))
	if err != nil {
		panic(fmt.Sprintf("sim: calling %s: %v", &u, err)) // it was parsed at registration
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(sdk.HeaderRunID, c.run)
	req.Header.Set(sdk.HeaderRequestID, c.job)
	req.Header.Set(sdk.HeaderJobID, c.job)
	req.Header.Set(sdk.HeaderServerKind, s.kind())
	if s.options.SigningKey != "" {
		req.Header.Set(sdk.HeaderSignature, sdk.Sign(s.options.SigningKey, c.body, time.Now()))
	}
	return req
}
