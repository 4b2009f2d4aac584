package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// MaxEventSize is the most bytes that one event may take, as JSON: the dev server's limit.
const MaxEventSize = 3 << 20

const (
	reservedPrefix = "inngest/"
	maxEvents      = 5_000 // in one request
	metadataKey    = "_inngest"
)

// Event is a copy of an event that was received or made.
type Event struct {
	EventID        string // the ULID that sending returned
	IdempotencyKey string // the sender's id, or else the ULID
	Name           string
	Data           map[string]any
	Raw            json.RawMessage // as functions get it; not set by [Engine.Events]
	At             time.Time       // virtual
	Decisions      []Decision      // of flow control, the last one for each function
	DeferredBy     *Deferrer       // set on what starts a deferred function
}

// EventBody is an event as a client sends it.
type EventBody struct {
	IdempotencyKey string         `json:"id"`
	Name           string         `json:"name"`
	Data           map[string]any `json:"data"`
	User           map[string]any `json:"user"`
	TS             int64          `json:"ts"`
	Version        string         `json:"v"`
	Meta           eventMeta      `json:"meta"`
}

// event is an accepted event.
type event struct {
	Event    // what readers get a copy of; Data may be nil, see fields; Raw is what functions get
	internal ulid.ULID
	ts       int64
	due      time.Time // when its runs start, where that is later than it came
	seq      uint64
	fields   map[string]any // name, data, user, id, ts, v, meta: what expressions see; nil: they are to be read from Raw
	bare     bool           // it came without data: functions get null where expressions see an empty object
	sessions sessions
	skipped  time.Duration // that has passed for it and not for the clock
	recurs   bool          // it may come again: the sender gave it an id, or may repeat the request that it came in

	invokes     *function // set on an invocation
	unknown     string    // id of the function that an invocation names, if there is none
	correlation string    // ties an invocation, and the end of the run that it started, to the run that waits
}

// vars returns what expressions see.
func (e *event) vars() map[string]any {
	if e.fields == nil {
		if err := json.Unmarshal(e.Raw, &e.fields); err != nil {
			panic(fmt.Sprintf("engine: decoding event %s: %v", e.Name, err)) // it was encoded here
		}
		if e.bare {
			e.fields["data"] = map[string]any{}
		}
		e.Data, _ = e.fields["data"].(map[string]any)
	}
	return e.fields
}

// compact keeps of the event's content the JSON alone: runs may hold many events for a long time.
func (e *event) compact() {
	e.json()
	e.fields, e.Data = nil, nil
}

// view returns a copy of the event for readers.
func (e *event) view() Event {
	compact := e.fields == nil
	e.vars()
	out := e.Event
	out.Raw = nil
	if compact {
		e.compact()
	}
	return out
}

// whole returns a copy of the event with what it was made of.
func (e *event) whole() Event {
	out := e.view()
	out.Raw = e.object()
	return out
}

// json returns the event as functions get it.
func (e *event) json() []byte {
	if e.Raw == nil {
		fields := e.vars()
		if e.bare {
			fields = maps.Clone(fields)
			fields["data"] = nil
		}
		e.Raw = encodeFields(e.Name, fields)
	}
	return e.Raw
}

// object returns the event as JSON, as runs that wait for it get it.
func (e *event) object() []byte {
	if !e.bare {
		return e.json()
	}
	return encodeFields(e.Name, e.vars())
}

func encodeFields(name string, fields map[string]any) []byte {
	raw, err := json.Marshal(fields)
	if err != nil {
		// The fields came from JSON or are made here of strings, numbers and maps.
		panic(fmt.Sprintf("engine: encoding event %s: %v", name, err))
	}
	return raw
}

// setFields sets what functions and expressions see of the event.
func (e *event) setFields(data, user map[string]any, version string) {
	e.Data = data
	if data == nil {
		e.Data = map[string]any{}
	}
	if user == nil {
		user = map[string]any{}
	}
	// Numbers are doubles here, as everywhere in JSON: expressions compare them as such.
	e.fields = map[string]any{"name": e.Name, "id": e.IdempotencyKey, "ts": float64(e.ts), "data": e.Data, "user": user}
	if version != "" {
		e.fields["v"] = version
	}
	if len(e.sessions) > 0 {
		e.fields["meta"] = map[string]any{"sessions": e.sessions}
	}
}

var (
	errReserved = errors.New("event name is reserved for internal use")
	errBody     = errors.New("request body must contain an event object or an array of event objects")
)

// earliest and latest bound the timestamps that the server accepts.
var (
	earliest = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

func (w *EventBody) check() error {
	if strings.HasPrefix(strings.ToLower(w.Name), reservedPrefix) {
		return fmt.Errorf("%w: %s", errReserved, w.Name)
	}
	if w.Name == "" {
		return errors.New("event name is empty")
	}
	if w.TS != 0 {
		at := time.UnixMilli(w.TS)
		if at.Before(earliest) {
			return errors.New("timestamp is before Jan 1, 1980")
		}
		if at.After(latest) {
			return errors.New("timestamp is after Jan 1, 2100")
		}
	}
	return w.Meta.sessions().check()
}

// splitEvents returns the events of a request body, each as JSON. Like the server it accepts what it can read: of a list
// that breaks off after an event, that event.
func splitEvents(body []byte) (raws []json.RawMessage, err error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, nil
	}
	switch body[0] {
	case '{':
		return []json.RawMessage{body}, sizeOf(body)
	case '[':
	default:
		return nil, errBody
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	for len(raws) < maxEvents && d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return raws, fmt.Errorf("reading events: %w", err)
		}
		if err := sizeOf(raw); err != nil {
			return raws, err
		}
		raws = append(raws, raw)
	}
	if _, err := d.Token(); len(raws) > 0 && errors.Is(err, io.EOF) {
		return raws, fmt.Errorf("reading events: %w", err)
	}
	if d.More() {
		return raws, fmt.Errorf("more than %d events in one request", maxEvents)
	}
	return raws, nil
}

func sizeOf(raw []byte) error {
	if len(raw) > MaxEventSize {
		return fmt.Errorf("event is over the max size: Max %d bytes / Size %d bytes", MaxEventSize, len(raw))
	}
	return nil
}

// newEvent makes the event that a client sent.
func (m *machine) newEvent(b *EventBody, internal ulid.ULID) *event {
	recurs := b.IdempotencyKey != "" || internal != ulid.ULID{}
	e := m.eventNow(b.Name, b.IdempotencyKey, internal)
	if b.TS != 0 {
		e.ts = b.TS
	}
	e.bare, e.recurs, e.sessions = b.Data == nil, recurs, b.Meta.sessions()
	e.setFields(b.Data, b.User, b.Version)
	return e
}

// internalEvent makes one of the server's events. One that tells of a run is in the sessions of what triggered it.
func (m *machine) internalEvent(name, id string, data map[string]any, in sessions) *event {
	e := m.eventNow(name, id, ulid.ULID{})
	e.sessions = in
	e.setFields(data, nil, "")
	return e
}

// eventNow makes an event that comes now. Without an internal id it draws one.
func (m *machine) eventNow(name, id string, internal ulid.ULID) *event {
	now := m.clock.Now()
	if internal == (ulid.ULID{}) {
		internal = m.source.ulidAt(now)
	}
	m.sequence++
	return &event{
		Event:    Event{EventID: internal.String(), IdempotencyKey: cmp.Or(id, internal.String()), Name: name, At: now},
		internal: internal, ts: now.UnixMilli(), seq: m.sequence,
	}
}

// publish records an event and queues it for matching.
func (m *machine) publish(e *event) {
	m.events.add(e)
	m.queue.push(&item{at: m.clock.Now(), kind: kindEvent, subject: e})
}

// ingest accepts the events of one request and returns their ids, or the ids of those before the one that is refused.
// seed is the header that makes a repeated request give the same ids. virtual translates the times that
// senders gave the events.
func (m *machine) ingest(body []byte, seed string, virtual func(time.Time) time.Time) ([]string, error) {
	raws, bad := splitEvents(body)
	ids := make([]string, 0, len(raws))
	for i, raw := range raws {
		var b EventBody
		if err := json.Unmarshal(raw, &b); err != nil {
			return ids, fmt.Errorf("reading event %d: %w", i, err)
		}
		if err := b.check(); err != nil {
			return ids, err
		}
		delete(b.Data, metadataKey) // reserved for the server
		e := m.newEvent(&b, m.source.seeded(seed, i+1))
		if b.TS != 0 {
			e.due = virtual(time.UnixMilli(b.TS))
		}
		m.publish(e)
		ids = append(ids, e.EventID)
	}
	return ids, bad
}

// invoke publishes the event that starts one function. correlation, if there is one, ties its end to the run that waits.
func (m *machine) invoke(functionID, correlation string, payload *EventBody) *event {
	body := *payload
	if body.Data == nil {
		body.Data = map[string]any{}
	}
	meta := map[string]any{"fn_id": functionID}
	if correlation != "" {
		meta["correlation_id"] = correlation
	}
	body.Name, body.Data[metadataKey] = sdk.EventFunctionInvoked, meta
	e := m.newEvent(&body, ulid.ULID{})
	e.correlation = correlation
	if e.invokes = m.registry.find(functionID); e.invokes == nil {
		e.unknown = functionID
	}
	m.publish(e)
	return e
}
