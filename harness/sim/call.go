package sim

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/gowebpki/jcs"
)

const (
	maxRequest  = 4 << 20 // above this the app must fetch the state itself
	maxResponse = 8 << 20
)

// Headers of the protocol.
const (
	headerNoRetry   = "X-Inngest-No-Retry"
	headerRetry     = "Retry-After"
	headerSDK       = "X-Inngest-Sdk"
	headerVersion   = "X-Inngest-Req-Version"
	headerSignature = "X-Inngest-Signature"
	headerSeed      = "X-Inngest-Event-Id-Seed"
	headerSyncKind  = "X-Inngest-Sync-Kind"
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

// keptBuffer is the largest buffer that is used again for another call.
const keptBuffer = 64 << 10

// buffer returns an empty buffer that holds n bytes. The lock is held.
func (s *Sim) buffer(n int) []byte {
	if last := len(s.spare) - 1; last >= 0 {
		b := s.spare[last]
		s.spare = s.spare[:last]
		if cap(b) >= n {
			return b
		}
	}
	return make([]byte, 0, max(n, 4<<10))
}

// recycle takes back the body of a call that is over. The lock is held.
func (s *Sim) recycle(c *call) {
	// A client may still be reading what it has posted when it has the answer.
	if c.handler != nil && cap(c.body) <= keptBuffer && len(s.spare) < cap(s.spare) {
		s.spare = append(s.spare, c.body[:0])
	}
}

// request is the body of the call.
func (s *Sim) request(it *item, job string) []byte {
	r := it.run
	event := r.event.json()
	size := 2*len(event) + r.stateSize + 768
	b := s.buffer(size + 96*len(r.state))
	tooLarge := r.stateSize > maxRequest-1024

	b = append(b, `{"event":`...)
	b = append(b, event...)
	b = append(b, `,"events":[`...)
	if !tooLarge && size <= maxRequest {
		b = append(b, event...)
	} else {
		tooLarge = true
	}
	b = append(b, `],"steps":{`...)
	if !tooLarge {
		for i, m := range r.state {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendQuoted(b, m.id)
			b = append(b, ':')
			b = append(b, m.raw...)
		}
	}
	b = append(b, `},"defers":{},"ctx":{"fn_id":"`...)
	b = append(b, r.function.uuidText...)
	b = append(b, `","run_id":"`...)
	b = append(b, r.text...)
	b = append(b, `","env":"","step_id":"step","attempt":`...)
	b = strconv.AppendInt(b, int64(it.attempt), 10)
	b = append(b, `,"max_attempts":`...)
	b = strconv.AppendInt(b, int64(r.function.attempts), 10)
	b = append(b, `,"stack":{"stack":[`...)
	for i, m := range r.state {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, m.id)
	}
	b = append(b, `],"current":`...)
	b = strconv.AppendInt(b, int64(r.position(it.from)), 10)
	b = append(b, `},"qi_id":"`...)
	b = append(b, job...)
	b = append(b, `","request_id":"`...)
	b = append(b, job...)
	b = append(b, `","disable_immediate_execution":`...)
	b = strconv.AppendBool(b, r.planFirst || it.planFirst || s.mustPlan(r.function))
	b = append(b, `,"use_api":`...)
	b = strconv.AppendBool(b, tooLarge)
	b = append(b, `},"version":`...)
	b = strconv.AppendInt(b, int64(r.version), 10)
	b = append(b, `,"use_api":`...)
	b = strconv.AppendBool(b, tooLarge)
	return append(b, '}')
}

// appendQuoted appends a step's hashed id as JSON. Those of SDKs are hexadecimal digits.
func appendQuoted(b []byte, id string) []byte {
	for i := range len(id) {
		if c := id[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(id) // a string always encodes
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), id...), '"')
}

// position is how many steps were memoised when the step that a call leaves from was.
func (r *run) position(from string) int {
	return r.known.find(from) + 1
}

func (s *Sim) newRequest(ctx context.Context, c *call) *http.Request {
	u := *c.function.url
	u.RawQuery = c.function.query + cmp.Or(c.target, "step")
	job := []string{c.job}
	header := make(http.Header, 6)
	header["Content-Type"] = jsonType
	header["X-Run-Id"] = []string{c.run}
	header["X-Request-Id"] = job
	header["X-Inngest-Job-Id"] = job
	header["X-Inngest-Server-Kind"] = s.kinds
	if s.options.SigningKey != "" {
		header[headerSignature] = []string{sign(s.options.SigningKey, c.body)}
	}
	var empty http.Request
	req := empty.WithContext(ctx)
	req.Method, req.URL, req.Host, req.Header = http.MethodPost, &u, u.Host, header
	req.Proto, req.ProtoMajor, req.ProtoMinor = "HTTP/1.1", 1, 1
	req.ContentLength, req.Body = int64(len(c.body)), io.NopCloser(bytes.NewReader(c.body))
	return req
}

// jsonType is the content type of every call. Nobody changes the values of a request's headers.
var jsonType = []string{"application/json"}

var keyPrefix = regexp.MustCompile(`^signkey-\w+-`)

// sign signs a request's body as the server does. The time is the wall clock's: the app compares it with its own.
func sign(key string, body []byte) string {
	if len(body) > 0 {
		if canonical, err := jcs.Transform(body); err == nil {
			body = canonical
		}
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(keyPrefix.ReplaceAllString(key, "")))
	mac.Write(body)
	mac.Write([]byte(now))
	return "t=" + now + "&s=" + hex.EncodeToString(mac.Sum(nil))
}
