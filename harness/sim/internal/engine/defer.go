package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// A run may defer functions: they start when it has ended. Each is told apart by its id, hashed as a step's is.

// DeferStatus is what becomes of a deferred function.
type DeferStatus string

// What becomes of deferred functions. The values are those of the server's API.
const (
	DeferScheduled DeferStatus = "SCHEDULED" // it starts, or has started
	DeferAborted   DeferStatus = "ABORTED"   // the run took it back
	DeferRejected  DeferStatus = "REJECTED"  // the server does not take it; the run goes on
)

// Defer is a function that a run has deferred. [Run].Defers are those of a run, which in the API are its defers, and for a run
// that one of them has started the siblingDefers; what started that is in [Event].DeferredBy, of each event of a batch.
type Defer struct {
	Hash     string // the id on the wire
	ID       string // as in the code
	Function string // the id, with the app's in front
	Status   DeferStatus
	RunID    string // of the run that it has started; empty so far
}

// Deferrer is the run that has deferred a function.
type Deferrer struct {
	RunID    string
	Function string // of that run: its id, with the app's in front

	deferral *deferral
}

// deferral is a deferred function and what it gets.
type deferral struct {
	Defer
	input json.RawMessage
	meta  eventMeta
}

// Limits of what a run may defer.
const (
	maxDefers     = 20
	maxDeferInput = 4 << 20  // of all together
	maxDeferMeta  = 32 << 10 // of each
)

// deferOp acts on an opcode about a deferred function. What the server does not take does not concern the run.
func (r *run) deferOp(o *sdk.Op) {
	var opts struct {
		Function string          `json:"fn_slug"`
		Input    json.RawMessage `json:"input"`
		Meta     json.RawMessage `json:"meta"`
		Target   string          `json:"target_hashed_id"`
	}
	if o.Options(&opts) != nil {
		return
	}
	r.makeRare()
	if o.Op == sdk.OpDeferAbort {
		if d := r.deferralOf(opts.Target); d != nil {
			d.Status, d.input = DeferAborted, nil
		}
		return
	}
	if r.deferralOf(o.ID) != nil || len(r.rare.deferred) == maxDefers {
		return
	}
	d := &deferral{Defer: Defer{Hash: o.ID, Function: opts.Function, Status: DeferScheduled}, input: opts.Input}
	if o.Userland != nil {
		d.ID = o.Userland.ID
	}
	size := len(opts.Input)
	for _, other := range r.rare.deferred {
		size += len(other.input)
	}
	if opts.Function == "" || !isObject(opts.Input) || size > maxDeferInput || len(opts.Meta) > maxDeferMeta || !d.readMeta(opts.Meta) {
		d.Status, d.input = DeferRejected, nil
	}
	r.rare.deferred = append(r.rare.deferred, d)
}

// readMeta reads the sessions that the function starts in. ok is false if they are no object.
func (d *deferral) readMeta(raw json.RawMessage) (ok bool) {
	return len(raw) == 0 || string(raw) == "null" || isObject(raw) && json.Unmarshal(raw, &d.meta) == nil
}

func isObject(raw json.RawMessage) bool { return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) }

func (r *run) deferralOf(hash string) *deferral {
	for _, d := range r.rare.deferred {
		if d.Hash == hash {
			return d
		}
	}
	return nil
}

// deferEntries returns what a call says of deferred functions.
func (r *run) deferEntries() map[string]sdk.Defer {
	entries := map[string]sdk.Defer{}
	if r.rare == nil {
		return entries
	}
	for _, d := range r.rare.deferred {
		entries[d.Hash] = sdk.Defer{Abortable: d.Status == DeferScheduled}
	}
	return entries
}

// startDeferred publishes the events that start what a run has deferred.
func (m *machine) startDeferred(r *run) {
	if r.rare == nil {
		return
	}
	for _, d := range r.rare.deferred {
		if d.Status != DeferScheduled || d.meta.sessions().check() != nil {
			continue
		}
		data := map[string]any{}
		if json.Unmarshal(d.input, &data) != nil {
			continue
		}
		app := uuid.NewSHA1(uuid.NameSpaceOID, []byte(r.function.App)).String()
		data[metadataKey] = map[string]any{
			"fn_slug": d.Function, "parent_app_id": app, "parent_fn_id": r.function.UUID, "parent_fn_slug": r.function.ID, "parent_run_id": r.ID,
		}
		d.input = nil
		sum := sha256.Sum256([]byte("defer-event:" + r.ID + ":" + d.Hash))
		id := ulid.ULID(sum[:16])
		_ = id.SetTime(ulid.MustParse(r.ID).Time()) // which came from such an id
		e := m.internalEvent(sdk.EventDeferred, id.String(), data, d.meta.sessions())
		e.DeferredBy = &Deferrer{RunID: r.ID, Function: r.function.ID, deferral: d}
		m.publish(e)
	}
}
