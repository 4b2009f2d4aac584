package sdk

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// Answer is an app's answer to a call. Status says what Body is: opcodes for 206 ([ParseOps]), the function's result for
// 200, otherwise an error.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Streamed: the SDK answered 201 at once, and the fields above are those of the answer inside the stream.
	Streamed bool
	// BodyNoRetry: the stream's body asks for no retry. The server looks at the header alone.
	BodyNoRetry bool
}

// NoRetry reports whether the app asks the server not to retry, by the header.
func (a Answer) NoRetry() bool { return a.Header.Get(HeaderNoRetry) == "true" }

// ReadAnswer unwraps an answer: it decompresses the body, and takes a streamed answer out of its stream. With the error,
// which tells of a broken stream, it returns the answer as it came.
func ReadAnswer(status int, header http.Header, body []byte) (Answer, error) {
	a := Answer{Status: status, Header: header, Body: Decompress(header, body)}
	if status != http.StatusCreated {
		return a, nil
	}
	var stream struct {
		Error   *string           `json:"error"`
		Status  int               `json:"status"`
		Body    json.RawMessage   `json:"body"`
		NoRetry bool              `json:"noRetry"`
		Headers map[string]string `json:"headers"`
	}
	if err := json.Unmarshal(bytes.TrimSpace(a.Body), &stream); err != nil {
		return a, fmt.Errorf("error parsing stream: %w", err)
	}
	if stream.Error != nil {
		return a, fmt.Errorf("error parsing stream: %s", *stream.Error)
	}
	a.Streamed, a.BodyNoRetry, a.Status, a.Body = true, stream.NoRetry, stream.Status, stream.Body
	var quoted string
	if json.Unmarshal(stream.Body, &quoted) == nil {
		a.Body = []byte(quoted)
	}
	a.Header = header.Clone()
	if a.Header == nil {
		a.Header = http.Header{}
	}
	for k, v := range stream.Headers {
		a.Header.Set(k, v)
	}
	return a, nil
}

// Result returns the function's result as JSON: the body if it is JSON, else null for an empty body, else the body as a
// JSON string; plain then is the body without blanks at its ends.
func (a Answer) Result() (result json.RawMessage, plain string) {
	body := bytes.TrimSpace(a.Body)
	switch {
	case len(body) == 0:
		return json.RawMessage("null"), ""
	case json.Valid(body):
		return text.JSON(body), ""
	}
	return text.JSON(a.Body), string(body)
}

// maxDecompressed bounds what a compressed body may grow to.
const maxDecompressed = 64 << 20

// Decompress undoes gzip, the one compression that a Go client asks for by itself. A body that is not compressed, or
// badly, is returned as it is.
func Decompress(header http.Header, body []byte) []byte {
	if !strings.EqualFold(header.Get("Content-Encoding"), "gzip") {
		return body
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxDecompressed))
	if err != nil {
		return body
	}
	return plain
}
