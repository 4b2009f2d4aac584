package engine

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
)

// answer is the app's answer to a call, understood as far as it can be without the run.
type answer struct {
	sdk.Answer
	err     error // no answer came, or one that cannot be read
	ops     []sdk.Op
	noRetry bool
	retryAt time.Time // virtual; zero: the app names none
	version int
	again   bool // it is applied a second time
}

// understand reads the answer's headers and opcodes.
func (a *answer) understand(c *clock.Clock) {
	if a.err != nil || a.tooLarge() {
		return
	}
	if a.Answer, a.err = sdk.ReadAnswer(a.Status, a.Header, a.Body); a.err != nil {
		return
	}
	a.readHeader(c)
	if a.Status == http.StatusPartialContent {
		a.ops, a.err = parseOps(a.Body, a.noRetry)
	}
	if a.err == nil {
		a.lacksSDK()
	}
}

// tooLarge reports whether the answer is larger than the server takes.
func (a *answer) tooLarge() bool {
	if len(a.Body) > maxResponse {
		failed := newError("output_too_large", "Your function's response body exceeds the maximum size limit")
		failed.Reason = failed.Name + ": " + failed.Message
		a.err = failed
	}
	return a.err != nil
}

func (a *answer) readHeader(c *clock.Clock) {
	a.noRetry = a.NoRetry()
	a.version, _ = strconv.Atoi(a.Header.Get(sdk.HeaderRequestVersion))
	if v := a.Header.Get(sdk.HeaderRetryAfter); v != "" {
		a.retryAt = retryTime(c, v)
	}
}

// lacksSDK reports whether the answer is a success that no SDK sent.
func (a *answer) lacksSDK() bool {
	if a.Header.Get(sdk.HeaderSDK) != "" || a.Status < 200 || a.Status > 299 {
		return false
	}
	failed := newError("not_sdk", "The response did not come from an Inngest SDK: it lacks the "+sdk.HeaderSDK+" header")
	failed.Body = a.Body
	a.err = failed
	return true
}

// FatalServerError is the name of the error of an answer that did not come from an SDK.
const FatalServerError = "Server returned a fatal error"

// failure returns why a call failed, as the server shows it, or nil.
func (a *answer) failure() *Error {
	if a.err != nil {
		var named *Error
		if errors.As(a.err, &named) {
			return named
		}
		return newError("Error", a.err.Error())
	}
	reason := ""
	if a.Status < 200 || a.Status > 299 {
		reason = fmt.Sprintf("invalid status code: %d", a.Status)
	}
	if a.Status != http.StatusPartialContent && a.noRetry {
		reason = "NonRetriableError"
	}
	if reason == "" {
		return nil
	}
	if a.Header.Get(sdk.HeaderSDK) == "" && a.Status != http.StatusOK {
		failed := newError(FatalServerError, fmt.Sprintf("Your server returned HTTP %d before the SDK responded.", a.Status))
		failed.Stack = string(a.Body)
		return failed
	}
	failed := errorOf(a.Body, reason)
	failed.Reason, failed.Body = reason, a.Body
	return failed
}

// errorOf reads the error in an answer's body.
func errorOf(body []byte, reason string) *Error {
	failed := newError("Error", reason)
	var fields struct {
		Name, Message, Stack string
		Cause                json.RawMessage
	}
	if json.Unmarshal(body, &fields) != nil {
		var text string
		if json.Unmarshal(body, &text) != nil {
			text = string(body)
		}
		failed.Message = cmp.Or(text, reason)
		return failed
	}
	failed.Name, failed.Message = cmp.Or(fields.Name, failed.Name), cmp.Or(fields.Message, failed.Message)
	failed.Stack, failed.Cause = fields.Stack, fields.Cause
	return failed
}

// parseOps reads the opcodes of a 206 answer. The error says what of them the server refuses.
func parseOps(body []byte, noRetry bool) ([]sdk.Op, error) {
	ops, err := sdk.ParseOps(body)
	if err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return []sdk.Op{{Op: sdk.OpNone}}, nil
	}
	for i := range ops {
		op := &ops[i]
		if op.Op == "" {
			op.Op = sdk.OpNone
		}
		if !op.Op.Known() {
			return nil, fmt.Errorf("error reading generator opcode response: %s does not belong to Opcode values", op.Op)
		}
		if op.Op == sdk.OpStepError {
			if op.Error == nil {
				return nil, fmt.Errorf("OpcodeStepError received without Error field set: %s", op.StepID())
			}
			op.Error.NoRetry = noRetry
		}
		if inputSize(op) > maxStepBytes {
			return nil, fmt.Errorf("error validating generator opcode %s: step input size is greater than the limit", op.ID)
		}
		if len(op.Data) > maxStepBytes {
			return nil, fmt.Errorf("error validating generator opcode %s: step output size is greater than the limit", op.ID)
		}
	}
	return ops, nil
}

// inputSize returns how many bytes a step was given, where an opcode tells: those of the input, or of the body of an AI request.
func inputSize(o *sdk.Op) int {
	if len(o.Opts) <= maxStepBytes {
		return 0
	}
	var opts struct {
		Input json.RawMessage `json:"input"`
		Body  json.RawMessage `json:"body"`
	}
	_ = o.Options(&opts) // what is no object has neither
	switch o.Op {
	case sdk.OpStepRun, sdk.OpStep:
		return len(opts.Input)
	case sdk.OpAIGateway:
		return len(opts.Body)
	}
	return 0
}

// memoOf returns what is memoised for a step.
func memoOf(o *sdk.Op) json.RawMessage {
	switch o.Op {
	case sdk.OpStepError, sdk.OpStepFailed:
		return Wrap("error", o.Error)
	case sdk.OpStepRun:
		return slices.Concat(json.RawMessage(`{"data":`), orNull(o.Data), json.RawMessage(`}`))
	default:
		return orNull(o.Data)
	}
}

// Wrap returns {key: v} as JSON. v must be of a kind that always encodes.
func Wrap(key string, v any) json.RawMessage {
	raw, err := json.Marshal(map[string]any{key: v})
	if err != nil {
		panic(fmt.Sprintf("engine: encoding %s: %v", key, err))
	}
	return raw
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
