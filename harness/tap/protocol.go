package tap

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// This file turns messages of the protocol into records. Of a message that does not parse it records what could be read:
// reporting the error is up to the side that receives the message.

// parseCall reads a call request. The queue item ties checkpoints to the call.
func parseCall(query url.Values, body []byte) (_ *Call, queueItem string) {
	ctx, events := sdk.ReadCall(body)
	c := &Call{
		FunctionID:  query.Get(sdk.QueryFunction),
		RunID:       ctx.RunID,
		Attempt:     int(ctx.Attempt),
		MaxAttempts: ctx.MaxAttempts,
		Memoised:    len(ctx.Stack.Stack),
		Step:        sdk.TargetStep(query),
	}
	if n := len(ctx.Stack.Stack); n > 0 {
		c.After = ctx.Stack.Stack[n-1]
	}
	for _, e := range events {
		c.Events = append(c.Events, Event{Name: e.Name, IdempotencyKey: e.ID})
	}
	return c, ctx.QueueItem
}

// ops records opcodes, without data that is larger than maxPayload.
func ops(wire []sdk.Op, maxPayload int) []Op {
	var all []Op
	for _, w := range wire {
		o := Op{Op: w.Op, ID: w.ID, Name: w.CodeID(), Error: failureOf(w.Error), Size: len(w.Data)}
		if len(w.Data) <= maxPayload {
			o.Data = text.JSON(w.Data)
		}
		o.Began, o.Ended = w.Timing.Times()
		all = append(all, o)
	}
	return all
}

func failureOf(e *sdk.Failure) *Failure {
	if e == nil {
		return nil
	}
	return &Failure{Name: e.Name, Message: e.Message}
}

// parseAnswer reads the app's answer to a call into c.
func parseAnswer(c *Call, status int, header http.Header, body []byte, maxPayload int) {
	a, _ := sdk.ReadAnswer(status, header, body) // of a broken stream the outside is recorded
	c.SDK = a.Header.Get(sdk.HeaderSDK)
	c.NoRetry = a.NoRetry() || a.BodyNoRetry
	c.RetryAfter = a.Header.Get(sdk.HeaderRetryAfter)
	c.Status = a.Status
	switch a.Status {
	case http.StatusPartialContent:
		found, _ := sdk.ParseOps(a.Body)
		c.Ops = ops(found, maxPayload)
	case http.StatusOK:
		body := bytes.TrimSpace(a.Body)
		c.ResultSize = len(body)
		if len(body) > maxPayload {
			break
		}
		if result, plain := a.Result(); len(body) > 0 && (plain == "" || a.Streamed) {
			c.Result = result
		}
	default:
		c.Error = parseFailure(a.Body, maxPayload)
	}
}

func parseFailure(body []byte, maxPayload int) *Failure {
	var f Failure
	if json.Unmarshal(body, &f) != nil || f.Message == "" {
		f.Message = string(bytes.TrimSpace(body[:min(len(body), maxPayload)]))
	}
	return &f
}

// parseCheckpoint reads a checkpoint request. run is the run that the path names, if any.
func parseCheckpoint(run string, body []byte, maxPayload int) (_ *Checkpoint, queueItem string) {
	var b sdk.Checkpoint
	_ = json.Unmarshal(body, &b)
	return &Checkpoint{RunID: cmp.Or(run, b.RunID), Steps: ops(b.Steps, maxPayload)}, b.QueueItem
}

// parseEvents reads the events that an app sends: an array, or a single one.
func parseEvents(body []byte, maxPayload int) []Event {
	type eventBody struct {
		Name string          `json:"name"`
		ID   string          `json:"id"`
		Data json.RawMessage `json:"data"`
	}
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
		event := Event{Name: e.Name, IdempotencyKey: e.ID, Size: len(e.Data)}
		if len(e.Data) <= maxPayload {
			event.Data = text.JSON(e.Data)
		}
		events = append(events, event)
	}
	return events
}

// parseRegister reads a registration.
func parseRegister(body []byte) *Sync {
	var b sdk.Registration
	_ = json.Unmarshal(body, &b)
	s := &Sync{App: b.AppName, URL: b.URL, SDK: b.SDK}
	for _, f := range b.Functions {
		s.Functions = append(s.Functions, f.ID)
	}
	return s
}

// parseInBand returns the id of the app that answers a sync with its functions; "" for another answer.
func parseInBand(header http.Header, body []byte) string {
	var b sdk.Registration
	_ = json.Unmarshal(sdk.Decompress(header, body), &b)
	return b.AppID
}

// parseSyncAnswer reads what either half of a sync was answered with.
func parseSyncAnswer(header http.Header, body []byte) string {
	var b struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	_ = json.Unmarshal(sdk.Decompress(header, body), &b)
	return cmp.Or(b.Error, b.Message)
}

// redactPath removes what is secret from a URL path: the event key.
func redactPath(path string) string {
	if rest, ok := strings.CutPrefix(path, "/e/"); ok && rest != "" {
		return "/e/***"
	}
	return path
}
