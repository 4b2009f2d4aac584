// Package stackapi is the JSON API of a stack that is up, over HTTP, and its client. With it a test in any language does what
// harnesstest does in Go; the command line is a client of it too. docs/api.md says what it can do.
//
// All requests are in one table, [Operations]: what the server answers, what the client sends, and what the OpenAPI document
// describes come from it.
package stackapi
