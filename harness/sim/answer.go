package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/sdk"
)

// answer is the app's answer to a call, understood as far as it can be without the run.
type answer struct {
	sdk.Answer
	err     error // no answer came, or one that cannot be read
	ops     []sdk.Op
	noRetry bool
	retryAt time.Time // virtual; zero: none asked for
	version int
	again   bool // it is handled a second time
	lost    bool // the app still has the call, and what was given to it
}

// understand reads an answer's headers and opcodes.
func (s *Sim) understand(a *answer) {
	if a.err != nil {
		return
	}
	if len(a.Body) > maxResponse {
		a.err = &Error{Name: "output_too_large", Message: "Your function's response body exceeds the maximum size limit"}
		return
	}
	if a.Answer, a.err = sdk.ReadAnswer(a.Status, a.Header, a.Body); a.err != nil {
		return
	}
	a.noRetry = a.NoRetry()
	a.version, _ = strconv.Atoi(a.Header.Get(sdk.HeaderRequestVersion))
	if v := a.Header.Get(sdk.HeaderRetryAfter); v != "" {
		a.retryAt = s.retryTime(v)
	}
	if a.Status == http.StatusPartialContent {
		a.ops, a.err = parseOps(a.Body, a.noRetry)
	}
	if a.err == nil && a.Header.Get(sdk.HeaderSDK) == "" && a.Status >= 200 && a.Status <= 299 {
		a.err = &Error{Name: "not_sdk", Message: "The response did not come from an Inngest SDK: it lacks the " + sdk.HeaderSDK + " header", body: a.Body}
	}
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
	if a.Status < 200 || a.Status > 299 {
		reason = fmt.Sprintf("invalid status code: %d", a.Status)
	}
	if a.Status != http.StatusPartialContent && a.noRetry {
		reason = "NonRetriableError"
	}
	if reason == "" {
		return "", nil
	}
	if a.Header.Get(sdk.HeaderSDK) == "" && a.Status != http.StatusOK {
		return reason, &Error{
			Name:    "Server returned a fatal error",
			Message: fmt.Sprintf("Your server returned HTTP %d before the SDK responded.", a.Status),
			Stack:   string(a.Body),
		}
	}
	shown = errorOf(a.Body, reason)
	shown.reason, shown.body = reason, a.Body
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
