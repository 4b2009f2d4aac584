package engine

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// Memo is the result of a step, by its hashed id.
type Memo struct {
	Hash   string
	Result json.RawMessage
}

// Plan is what a function would do next.
type Plan struct {
	Ops    []sdk.Op        // none: it returned
	Output json.RawMessage // what it returned
	Failed *Error          // why it failed
}

// Probe calls a function as if its run had these results, and asks it to announce what it would do next. No step is run,
// and nothing is recorded.
func (e *Engine) Probe(ctx context.Context, functionID string, body json.RawMessage, memos []Memo) (Plan, error) {
	e.mu.Lock()
	f := e.m.registry.find(functionID)
	if f == nil {
		e.mu.Unlock()
		return Plan{}, errors.New("no such function is registered")
	}
	r := newRun(ulid.ULID{}, f, &event{Event: Event{Name: "replay", Raw: body}}, time.Time{})
	for _, memo := range memos {
		r.save(memo.Hash, memo.Result)
	}
	c, err := e.m.prepare(&item{run: r, planFirst: true})
	e.mu.Unlock()
	if err != nil {
		return Plan{}, err
	}
	a := e.caller.do(ctx, c.req, c.handler, (*answer).understand)
	if a.Status == 0 && a.err != nil {
		return Plan{}, a.err
	}
	if failed := a.failure(); failed != nil {
		return Plan{Failed: failed}, nil
	}
	plan := Plan{Ops: a.ops}
	if len(a.ops) == 0 {
		plan.Output, _ = a.Result()
	}
	return plan, nil
}
