package sim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"sync/atomic"
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

// request is the body of the call.
func (s *Sim) request(it *item, job string) []byte {
	r := it.run
	event := r.event.json()
	size := 2*len(event) + r.stateSize + 768
	b := make([]byte, 0, size+48*len(r.state))
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
			b = strconv.AppendQuote(b, m.id)
			b = append(b, ':')
			b = append(b, m.raw...)
		}
	}
	b = append(b, `},"defers":{},"ctx":{"fn_id":"`...)
	b = append(b, r.function.uuid.String()...)
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
		b = strconv.AppendQuote(b, m.id)
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

// position is how many steps were memoised when the step that a call leaves from was.
func (r *run) position(from string) int {
	if i, ok := r.known[from]; ok {
		return i + 1
	}
	return 0
}

// answer is the app's answer to a call, understood as far as it can be without the run.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	err     error // no answer came, or one that cannot be read
	ops     []opcode
	noRetry bool
	retryAt time.Time // virtual; zero: none asked for
	version int
	again   bool // it is handled a second time
}

// do calls the app and returns its answer. The lock is not held: the app may send events and checkpoints meanwhile.
//
// An app in process is called on this very goroutine, since a new one for each call would cost more than all else that is
// done for it. If the app hangs, the goroutine is lost to it: instead is called with the failed answer on another one, and
// once the app returns after all, ok is false and the caller must give up too.
func (s *Sim) do(ctx context.Context, c *call, instead func(*answer)) (a *answer, ok bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req := s.newRequest(ctx, c)
	if c.handler == nil {
		a = s.post(req, cancel)
	} else if a, ok = s.serve(req, c.handler, cancel, instead); !ok {
		return nil, false
	}
	s.understand(a)
	return a, true
}

func (s *Sim) newRequest(ctx context.Context, c *call) *http.Request {
	u := *c.function.url
	step := c.target
	if step == "" {
		step = "step"
	}
	u.RawQuery += "&stepId=" + step
	header := make(http.Header, 6)
	header["Content-Type"] = []string{"application/json"}
	header["X-Run-Id"] = []string{c.run}
	header["X-Request-Id"] = []string{c.job}
	header["X-Inngest-Job-Id"] = []string{c.job}
	header["X-Inngest-Server-Kind"] = []string{s.kind()}
	if s.options.SigningKey != "" {
		header[headerSignature] = []string{sign(s.options.SigningKey, c.body)}
	}
	req := &http.Request{
		Method: http.MethodPost, URL: &u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(c.body)), Body: io.NopCloser(bytes.NewReader(c.body)),
	}
	return req.WithContext(ctx)
}

// recorder is the least response writer that does what net/http's does.
type recorder struct {
	header http.Header
	sent   http.Header // as it was when the status was written
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }
func (w *recorder) Flush()              { w.WriteHeader(http.StatusOK) }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.body.Len() > maxResponse {
		return len(p), nil // no more is looked at
	}
	return w.body.Write(p)
}

// serve calls a handler in process. One that hangs has its context cancelled, and is left behind: see do.
func (s *Sim) serve(req *http.Request, handler http.Handler, cancel context.CancelFunc, instead func(*answer)) (a *answer, ok bool) {
	var decided atomic.Bool // the app has answered, or was given up
	giveUp := func(err error) {
		if decided.CompareAndSwap(false, true) {
			cancel()
			instead(&answer{err: err})
		}
	}
	timer := time.AfterFunc(s.options.CallTimeout, func() { giveUp(s.hung()) })
	stop := context.AfterFunc(req.Context(), func() { giveUp(context.Cause(req.Context())) })

	w := &recorder{header: make(http.Header, 8)}
	err := callHandler(handler, w, req)
	timer.Stop()
	stop()
	if !decided.CompareAndSwap(false, true) {
		return nil, false
	}
	if err != nil {
		return &answer{err: err}, true
	}
	return &answer{status: w.status, header: w.sent, body: w.body.Bytes()}, true
}

// callHandler calls a handler as net/http does, which survives a handler that panics and drops its connection: the server sees
// that and nothing else.
func callHandler(handler http.Handler, w *recorder, req *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Name: "Error", Message: unreachable, Stack: fmt.Sprintf("the app's handler panicked: %v\n%s", p, debug.Stack())}
		}
	}()
	handler.ServeHTTP(w, req)
	w.WriteHeader(http.StatusOK)
	return nil
}

// post calls an app at its URL.
func (s *Sim) post(req *http.Request, cancel context.CancelFunc) *answer {
	var expired bool
	timer := time.AfterFunc(s.options.CallTimeout, cancel)
	defer func() { timer.Stop() }()
	resp, err := s.client.Do(req)
	if err == nil {
		defer resp.Body.Close()
		var body []byte
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
		if err == nil {
			return &answer{status: resp.StatusCode, header: resp.Header, body: body}
		}
	}
	expired = !timer.Stop()
	if expired && errors.Is(err, context.Canceled) {
		return &answer{err: s.hung()}
	}
	return &answer{err: &Error{Name: "Error", Message: unreachable, Stack: err.Error()}}
}

// unreachable is what the server says whatever keeps an answer from coming.
const unreachable = "Unable to reach SDK URL"

func (s *Sim) hung() error {
	return fmt.Errorf("the app did not answer within %v of wall-clock time (sim.Options.CallTimeout)", s.options.CallTimeout)
}

// understand reads an answer's headers and opcodes.
func (s *Sim) understand(a *answer) {
	if a.err != nil {
		return
	}
	if len(a.body) > maxResponse {
		a.err = &Error{Name: "output_too_large", Message: "Your function's response body exceeds the maximum size limit"}
		return
	}
	if a.status == http.StatusCreated && !a.unwrapStream() {
		return
	}
	a.noRetry = a.header.Get(headerNoRetry) == "true"
	a.version, _ = strconv.Atoi(a.header.Get(headerVersion))
	if v := a.header.Get(headerRetry); v != "" {
		a.retryAt = s.retryTime(v)
	}
	if a.status == http.StatusPartialContent {
		a.ops, a.err = parseOps(a.body, a.noRetry)
	}
	if a.err == nil && a.header.Get(headerSDK) == "" && a.status >= 200 && a.status <= 299 {
		a.err = &Error{Name: "not_sdk", Message: "The response did not come from an Inngest SDK: it lacks the " + headerSDK + " header", body: a.body}
	}
}

// unwrapStream replaces a streamed answer by what it wraps.
func (a *answer) unwrapStream() bool {
	var stream struct {
		Error   *string           `json:"error"`
		Status  int               `json:"status"`
		Body    json.RawMessage   `json:"body"`
		NoRetry bool              `json:"noRetry"`
		Headers map[string]string `json:"headers"`
	}
	if err := json.Unmarshal(bytes.TrimSpace(a.body), &stream); err != nil {
		a.err = fmt.Errorf("error parsing stream: %w", err)
		return false
	}
	if stream.Error != nil {
		a.err = fmt.Errorf("error parsing stream: %s", *stream.Error)
		return false
	}
	a.status, a.body = stream.Status, stream.Body
	var text string
	if json.Unmarshal(stream.Body, &text) == nil {
		a.body = []byte(text)
	}
	for k, v := range stream.Headers {
		a.header.Set(k, v)
	}
	return true
}

// failure says why a call failed, and what of it the server shows; "" if it did not.
func (a *answer) failure() (reason string, shown *Error) {
	if a.err != nil {
		var named *Error
		if errors.As(a.err, &named) {
			return named.Name, named
		}
		return a.err.Error(), &Error{Name: "Error", Message: a.err.Error()}
	}
	reason = ""
	if a.status < 200 || a.status > 299 {
		reason = fmt.Sprintf("invalid status code: %d", a.status)
	}
	if a.status != http.StatusPartialContent && a.noRetry {
		reason = "NonRetriableError"
	}
	if reason == "" {
		return "", nil
	}
	if a.header.Get(headerSDK) == "" && a.status != http.StatusOK {
		return reason, &Error{
			Name:    "Server returned a fatal error",
			Message: fmt.Sprintf("Your server returned HTTP %d before the SDK responded.", a.status),
			Stack:   string(a.body),
		}
	}
	shown = errorOf(a.body, reason)
	shown.reason, shown.body = reason, a.body
	return reason, shown
}

// errorOf reads the error in an answer's body.
func errorOf(body []byte, reason string) *Error {
	shown := &Error{Name: "Error", Message: reason}
	var fields struct {
		Name, Message, Stack string
		Cause                json.RawMessage
	}
	if json.Unmarshal(body, &fields) != nil {
		var text string
		if json.Unmarshal(body, &text) != nil {
			text = string(body)
		}
		if text != "" {
			shown.Message = text
		}
		return shown
	}
	if fields.Name != "" {
		shown.Name = fields.Name
	}
	if fields.Message != "" {
		shown.Message = fields.Message
	}
	shown.Stack, shown.Cause = fields.Stack, fields.Cause
	return shown
}

// output is the function's result: the body if it is JSON, else the body as text.
func (a *answer) output() json.RawMessage {
	body := bytes.TrimSpace(a.body)
	if len(body) == 0 {
		return json.RawMessage("null")
	}
	if json.Valid(body) {
		return json.RawMessage(body)
	}
	quoted, err := json.Marshal(string(a.body))
	if err != nil {
		return json.RawMessage("null") // cannot be: a string always encodes
	}
	return quoted
}

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
