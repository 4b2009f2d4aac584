package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// answer is the app's answer to a call, understood as far as it can be without the run.
type answer struct {
	status  int
	head    head
	body    []byte
	err     error // no answer came, or one that cannot be read
	ops     []opcode
	noRetry bool
	retryAt time.Time // virtual; zero: none asked for
	version int
	again   bool // it is handled a second time
	lost    bool // the app still has the call, and what was given to it
}

// head is what the protocol says in an answer's headers.
type head struct{ sdk, noRetry, retryAfter, version, syncKind string }

func readHead(h http.Header) head {
	return head{
		sdk: h.Get(headerSDK), noRetry: h.Get(headerNoRetry), retryAfter: h.Get(headerRetry), version: h.Get(headerVersion), syncKind: h.Get(headerSyncKind),
	}
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
	a.noRetry = a.head.noRetry == "true"
	a.version, _ = strconv.Atoi(a.head.version)
	if v := a.head.retryAfter; v != "" {
		a.retryAt = s.retryTime(v)
	}
	if a.status == http.StatusPartialContent {
		a.ops, a.err = parseOps(a.body, a.noRetry)
	}
	if a.err == nil && a.head.sdk == "" && a.status >= 200 && a.status <= 299 {
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
	header := make(http.Header, len(stream.Headers))
	for k, v := range stream.Headers {
		header.Set(k, v)
	}
	wrapped := readHead(header)
	a.head = head{
		sdk: cmp.Or(wrapped.sdk, a.head.sdk), noRetry: cmp.Or(wrapped.noRetry, a.head.noRetry), retryAfter: cmp.Or(wrapped.retryAfter, a.head.retryAfter),
		version: cmp.Or(wrapped.version, a.head.version), syncKind: cmp.Or(wrapped.syncKind, a.head.syncKind),
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
	if a.head.sdk == "" && a.status != http.StatusOK {
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

// output is the function's result: the body if it is JSON, else the body as text, and then as it came too.
func (a *answer) output() (output json.RawMessage, plain string) {
	body := bytes.TrimSpace(a.body)
	if len(body) == 0 {
		return json.RawMessage("null"), ""
	}
	if json.Valid(body) {
		return json.RawMessage(body), ""
	}
	quoted, err := json.Marshal(string(a.body))
	if err != nil {
		return json.RawMessage("null"), "" // cannot be: a string always encodes
	}
	return quoted, string(body)
}
