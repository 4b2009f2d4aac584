package tap

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// This file reads what crosses the HTTP wires (docs/SDK_SPEC.md of github.com/inngest/inngest). A message that does not
// parse is recorded with what could be read of it: the tap is not the one to complain.

// callContext is the part of a call's "ctx" that a record needs.
type callContext struct {
	Run         string `json:"run_id"`
	Attempt     int    `json:"attempt"`
	MaxAttempts int    `json:"max_attempts"`
	QueueItem   string `json:"qi_id"`
	Stack       struct {
		Stack []string `json:"stack"`
	} `json:"stack"`
}

// trigger is an event as a call carries it, without its data.
type trigger struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// readCall reads what a record needs of a call's body, and no further: the saved steps, which can be megabytes, come
// last in what the server sends.
func readCall(body []byte) (ctx callContext, events []trigger) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ctx, nil
	}
	var single trigger
	for missing := 2; missing > 0 && d.More(); {
		key, err := d.Token()
		if err != nil {
			break
		}
		var skipped json.RawMessage
		into := any(&skipped)
		switch key {
		case "ctx":
			into = &ctx
			missing--
		case "events":
			into = &events
			missing--
		case "event":
			into = &single
		}
		if err := d.Decode(into); err != nil && !isTypeError(err) {
			break
		}
	}
	if len(events) == 0 {
		events = []trigger{single}
	}
	return ctx, events
}

// isTypeError says that a value was JSON, only not of the expected type.
func isTypeError(err error) bool {
	var wrong *json.UnmarshalTypeError
	return errors.As(err, &wrong)
}

// parseCall reads a call request. The queue item ties checkpoints to the call.
func parseCall(query url.Values, body []byte) (_ *Call, queueItem string) {
	ctx, events := readCall(body)
	c := &Call{
		Function:    query.Get("fnId"),
		Run:         ctx.Run,
		Attempt:     ctx.Attempt + 1,
		MaxAttempts: ctx.MaxAttempts,
		Memoised:    len(ctx.Stack.Stack),
	}
	if step := query.Get("stepId"); step != "step" {
		c.Step = step
	}
	if n := len(ctx.Stack.Stack); n > 0 {
		c.After = ctx.Stack.Stack[n-1]
	}
	for _, e := range events {
		c.Events = append(c.Events, Event{Name: e.Name, ID: e.ID})
	}
	return c, ctx.QueueItem
}

type eventBody struct {
	Name string          `json:"name"`
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data"`
}

// opBody is an opcode in an answer or a checkpoint.
type opBody struct {
	Op          string          `json:"op"`
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	DisplayName *string         `json:"displayName"`
	Data        json.RawMessage `json:"data"`
	Error       *Failure        `json:"error"`
	// Timing is a start in nanoseconds since the epoch and a duration in nanoseconds.
	Timing struct {
		Start    int64 `json:"a"`
		Duration int64 `json:"b"`
	} `json:"timing"`
	Userland *struct {
		ID string `json:"id"`
	} `json:"userland"`
}

func (b opBody) op(maxPayload int) Op {
	o := Op{Op: b.Op, ID: b.ID, Name: b.Name, Error: b.Error, Size: len(b.Data)}
	if b.Userland != nil && b.Userland.ID != "" {
		o.Name = b.Userland.ID
	} else if b.DisplayName != nil && *b.DisplayName != "" {
		o.Name = *b.DisplayName
	}
	if len(b.Data) <= maxPayload {
		o.Data = b.Data
	}
	if b.Timing.Start > 0 {
		o.Began = time.Unix(0, b.Timing.Start)
		o.Ended = o.Began.Add(time.Duration(b.Timing.Duration))
	}
	return o
}

func ops(bodies []opBody, maxPayload int) []Op {
	var all []Op
	for _, b := range bodies {
		all = append(all, b.op(maxPayload))
	}
	return all
}

// parseAnswer reads the app's answer to a call into c.
func parseAnswer(c *Call, status int, header http.Header, body []byte, maxPayload int) {
	c.SDK = header.Get("X-Inngest-Sdk")
	c.NoRetry = header.Get("X-Inngest-No-Retry") == "true"
	c.RetryAfter = header.Get("Retry-After")
	body = decoded(header, body)
	if status == http.StatusCreated {
		// An SDK that streams answers 201 at once, and puts the real answer into the body.
		var stream struct {
			Status  int             `json:"status"`
			Body    json.RawMessage `json:"body"`
			NoRetry bool            `json:"noRetry"`
		}
		if json.Unmarshal(body, &stream) == nil && stream.Status != 0 {
			status, body = stream.Status, stream.Body
			c.NoRetry = c.NoRetry || stream.NoRetry
			var quoted string
			if json.Unmarshal(body, &quoted) == nil && status != http.StatusOK {
				body = []byte(quoted)
			}
		}
	}
	c.Status = status
	switch {
	case status == http.StatusPartialContent:
		c.Ops = parseOps(body, maxPayload)
	case status == http.StatusOK:
		body = bytes.TrimSpace(body)
		c.ResultSize = len(body)
		if len(body) <= maxPayload && json.Valid(body) {
			c.Result = body
		}
	default:
		c.Error = parseFailure(body, maxPayload)
	}
}

// parseOps reads the opcodes of an answer: an array, or from old SDKs a single one.
func parseOps(body []byte, maxPayload int) []Op {
	var many []opBody
	if json.Unmarshal(body, &many) == nil {
		return ops(many, maxPayload)
	}
	var one opBody
	if json.Unmarshal(body, &one) == nil {
		return ops([]opBody{one}, maxPayload)
	}
	return nil
}

func parseFailure(body []byte, maxPayload int) *Failure {
	var f Failure
	if json.Unmarshal(body, &f) != nil || f.Message == "" {
		f.Message = string(bytes.TrimSpace(body[:min(len(body), maxPayload)]))
	}
	return &f
}

// checkpointPath matches the URL path of a checkpoint, under its public and its older name.
var checkpointPath = regexp.MustCompile(`^/v1/(?:checkpoint|http/runs)(?:/([^/]+)/(?:async|steps))?$`)

// parseCheckpoint reads a checkpoint request. run is the run that the path names, if any.
func parseCheckpoint(run string, body []byte, maxPayload int) (_ *Checkpoint, queueItem string) {
	var b struct {
		Run       string   `json:"run_id"`
		QueueItem string   `json:"qi_id"`
		Steps     []opBody `json:"steps"`
	}
	_ = json.Unmarshal(body, &b)
	if run == "" {
		run = b.Run
	}
	return &Checkpoint{Run: run, Steps: ops(b.Steps, maxPayload)}, b.QueueItem
}

// parseEvents reads the events that an app sends: an array, or a single one.
func parseEvents(body []byte, maxPayload int) []Event {
	var many []eventBody
	if json.Unmarshal(body, &many) != nil {
		var one eventBody
		if json.Unmarshal(body, &one) != nil {
			return nil
		}
		many = []eventBody{one}
	}
	var events []Event
	for _, e := range many {
		event := Event{Name: e.Name, ID: e.ID, Size: len(e.Data)}
		if len(e.Data) <= maxPayload {
			event.Data = e.Data
		}
		events = append(events, event)
	}
	return events
}

// parseEventIDs reads the ids that the server answers events with.
func parseEventIDs(body []byte) []string {
	var b struct {
		IDs []string `json:"ids"`
	}
	_ = json.Unmarshal(body, &b)
	return b.IDs
}

// parseRegister reads a registration.
func parseRegister(body []byte) *Sync {
	var b struct {
		App       string `json:"appName"`
		URL       string `json:"url"`
		SDK       string `json:"sdk"`
		Functions []struct {
			ID string `json:"id"`
		} `json:"functions"`
	}
	_ = json.Unmarshal(body, &b)
	s := &Sync{App: b.App, URL: b.URL, SDK: b.SDK}
	for _, f := range b.Functions {
		s.Functions = append(s.Functions, f.ID)
	}
	return s
}

// parseSyncAnswer reads what either half of a sync was answered with.
func parseSyncAnswer(header http.Header, body []byte) string {
	var b struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	_ = json.Unmarshal(decoded(header, body), &b)
	if b.Error != "" {
		return b.Error
	}
	return b.Message
}

// maxDecoded bounds what a compressed body may grow to.
const maxDecoded = 64 << 20

// decoded undoes the one compression that a Go client asks for by itself.
func decoded(header http.Header, body []byte) []byte {
	if !strings.EqualFold(header.Get("Content-Encoding"), "gzip") {
		return body
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxDecoded))
	if err != nil {
		return body
	}
	return plain
}

// redactPath removes what is secret from a URL path: the event key.
func redactPath(path string) string {
	if rest, ok := strings.CutPrefix(path, "/e/"); ok && rest != "" {
		return "/e/***"
	}
	return path
}
