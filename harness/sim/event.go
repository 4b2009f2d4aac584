package sim

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// The server's own events.
const (
	EventFunctionFailed    = "inngest/function.failed"
	EventFunctionFinished  = "inngest/function.finished"
	EventFunctionCancelled = "inngest/function.cancelled"
	EventFunctionInvoked   = "inngest/function.invoked"
	EventScheduled         = "inngest/scheduled.timer"
)

// MaxEventSize is the most bytes that one event may take, as JSON: the dev server's limit.
const MaxEventSize = 3 << 20

const (
	reservedPrefix = "inngest/"
	maxEvents      = 5_000 // in one request
	metadataKey    = "_inngest"
)

// Event is an event to send. Only Name is required.
type Event struct {
	// Name must not be empty nor start with "inngest/".
	Name string
	// Data is encoded as JSON and must give an object. Nil sends none.
	Data any
	// ID deduplicates: a function runs at most once in 24 hours (of the virtual clock) for one id. Empty: every event is new.
	ID string
	// User is the deprecated user object. Nil sends an empty one.
	User map[string]any
	// Time is when it happened. The zero Time is the virtual now.
	Time time.Time
	// Version is the event's schema version.
	Version string
}

// SentEvent is an event that a Sim received or made.
type SentEvent struct {
	// InternalID is the ULID that sending returned. ID is the sender's, or else the same ULID.
	InternalID, ID string
	Name           string
	Data           map[string]any
	At             time.Time // virtual
}

// event is an accepted event.
type event struct {
	internal ulid.ULID
	id       string // the sender's, else internal as text
	name     string
	ts       int64
	at       time.Time
	seq      uint64
	fields   map[string]any // name, data, user, id, ts, v: what expressions see
	raw      []byte         // the same as JSON: what functions get
	bare     bool           // it came without data: functions get null where expressions see an empty object
	recurs   bool           // it may come again: the sender gave it an id, or may repeat the request that it came in
	lazy     func() map[string]any

	invokes     *function // set on an invocation
	unknown     string    // id of the function that an invocation names in vain
	correlation string    // ties an invocation, and the end of what it invoked, to the run that waits
}

// materialise fills in what was put off because nobody had asked for it.
func (e *event) materialise() *event {
	if e.lazy != nil {
		data := e.lazy()
		e.lazy = nil
		e.fields = eventFields(e.name, e.id, e.ts, data, nil, "")
	}
	return e
}

// json returns the event as functions get it.
func (e *event) json() []byte {
	if e.raw == nil {
		fields := e.materialise().fields
		if e.bare {
			fields = maps.Clone(fields)
			fields["data"] = nil
		}
		e.raw = encodeFields(e.name, fields)
	}
	return e.raw
}

// object returns the event as JSON, as runs that wait for it get it.
func (e *event) object() []byte {
	if !e.bare {
		return e.json()
	}
	return encodeFields(e.name, e.materialise().fields)
}

func encodeFields(name string, fields map[string]any) []byte {
	raw, err := json.Marshal(fields)
	if err != nil {
		// The fields came from JSON or are made here of strings, numbers and maps.
		panic(fmt.Sprintf("sim: encoding event %s: %v", name, err))
	}
	return raw
}

func (e *event) data() map[string]any {
	data, _ := e.materialise().fields["data"].(map[string]any)
	return data
}

func (e *event) public() SentEvent {
	return SentEvent{InternalID: e.internal.String(), ID: e.id, Name: e.name, Data: e.data(), At: e.at}
}

func eventFields(name, id string, ts int64, data, user map[string]any, version string) map[string]any {
	if data == nil {
		data = map[string]any{}
	}
	if user == nil {
		user = map[string]any{}
	}
	// Numbers are doubles here, as everywhere in JSON: expressions compare them as such.
	fields := map[string]any{"name": name, "id": id, "ts": float64(ts), "data": data, "user": user}
	if version != "" {
		fields["v"] = version
	}
	return fields
}

// wireEvent is an event as a client sends it.
type wireEvent struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Data    map[string]any `json:"data"`
	User    map[string]any `json:"user"`
	TS      int64          `json:"ts"`
	Version string         `json:"v"`
}

var (
	errReserved = errors.New("event name is reserved for internal use")
	errBody     = errors.New("request body must contain an event object or an array of event objects")
)

// earliest and latest bound the timestamps that the server takes.
var (
	earliest = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

func (w *wireEvent) check() error {
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
	return nil
}

// splitEvents returns the events of a request body, each as JSON. Like the server it takes what it can read: of a list that
// breaks off after an event, that event.
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

// ingest accepts the events of one request and returns their internal ids, or those accepted before the one that is
// refused. seed is the header that makes a repeated request give the same ids. The lock is held.
func (s *Sim) ingest(body []byte, seed string) ([]string, error) {
	raws, bad := splitEvents(body)
	ids := make([]string, 0, len(raws))
	for i, raw := range raws {
		var w wireEvent
		if err := json.Unmarshal(raw, &w); err != nil {
			return ids, fmt.Errorf("reading event %d: %w", i, err)
		}
		if err := w.check(); err != nil {
			return ids, err
		}
		delete(w.Data, metadataKey) // only the server may speak there
		e := s.newEvent(w.Name, w.ID, w.TS, w.Data, w.User, w.Version, s.seeded(seed, i+1))
		s.publish(e)
		ids = append(ids, e.internal.String())
	}
	return ids, bad
}

// newEvent makes an event of now. id and internal may be zero.
func (s *Sim) newEvent(name, id string, ts int64, data, user map[string]any, version string, internal ulid.ULID) *event {
	recurs := id != "" || internal != (ulid.ULID{})
	if internal == (ulid.ULID{}) {
		internal = s.newULID()
	}
	if id == "" {
		id = internal.String()
	}
	now := s.clock()
	if ts == 0 {
		ts = now.UnixMilli()
	}
	s.sequence++
	return &event{
		internal: internal, id: id, name: name, ts: ts, at: now, seq: s.sequence, bare: data == nil, recurs: recurs,
		fields: eventFields(name, id, ts, data, user, version),
	}
}

// newInternalEvent makes one of the server's events, whose data is only built if somebody wants it.
func (s *Sim) newInternalEvent(name, id string, data func() map[string]any) *event {
	internal := s.newULID()
	if id == "" {
		id = internal.String()
	}
	now := s.clock()
	s.sequence++
	return &event{internal: internal, id: id, name: name, ts: now.UnixMilli(), at: now, seq: s.sequence, lazy: data}
}

// publish records the event and queues it for matching.
func (s *Sim) publish(e *event) {
	s.events.add(e)
	s.queue.push(&item{at: s.clock(), kind: kindEvent, event: e})
}

// seeded returns the id that the n-th event of a request with this seed gets, so that a client which repeats a request
// does not send anything twice. The text of the seed is random (the SDK draws it), so it is only a key here: the id itself
// is drawn from the Sim's own seed, once.
func (s *Sim) seeded(seed string, n int) ulid.ULID {
	millis, entropy, ok := strings.Cut(seed, ",")
	if !ok {
		return ulid.ULID{}
	}
	if ms, err := strconv.ParseInt(millis, 10, 64); err != nil || ms <= 0 {
		return ulid.ULID{}
	}
	if b, err := base64.StdEncoding.DecodeString(entropy); err != nil || len(b) != 10 {
		return ulid.ULID{}
	}
	key := seed + "#" + strconv.Itoa(n)
	if id, known := s.seeds.get(key); known {
		return id
	}
	id := s.newULID()
	s.seeds.put(key, id)
	return id
}

// newULID draws an id from the seed, at the virtual time, as far as that is shown.
func (s *Sim) newULID() ulid.ULID {
	var id ulid.ULID
	var entropy [10]byte
	binary.BigEndian.PutUint64(entropy[:8], s.rng.Uint64())
	binary.BigEndian.PutUint16(entropy[8:], uint16(s.rng.Uint32()))
	// Neither can fail: the time is far below the largest and the entropy has the right length.
	_ = id.SetTime(uint64(s.shown(s.clock()).UnixMilli()))
	_ = id.SetEntropy(entropy[:])
	return id
}
