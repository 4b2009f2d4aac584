// Package api holds the description of the stack's JSON API to its code: its tests make the JSON Schemas and the OpenAPI document
// from the Go types, and ask a stack every request.
package api
