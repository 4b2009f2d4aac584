package stackapi

import (
	"context"
	"embed"
	"strings"
)

// documents are made from the Go types: see the tests of package e2e/api.
//
//go:embed openapi.json schemas
var documents embed.FS

// Schemas returns the names of the JSON Schemas: what [Schema] knows.
func Schemas() []string {
	entries, err := documents.ReadDir("schemas")
	if err != nil {
		panic(err) // they are embedded
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".json")
	}
	return names
}

// Schema returns a JSON Schema (2020-12) of what is read from files, or written as JSON. The error names those that there are.
func Schema(name string) ([]byte, error) {
	data, err := documents.ReadFile("schemas/" + name + ".json")
	if err != nil {
		return nil, notFoundf("there is no schema %q: there are %s", name, strings.Join(Schemas(), ", "))
	}
	return data, nil
}

// OpenAPI returns the OpenAPI document of the API.
func OpenAPI() []byte {
	data, err := documents.ReadFile("openapi.json")
	if err != nil {
		panic(err) // it is embedded
	}
	return data
}

func (s *Server) getDocument(context.Context, none) ([]byte, error) { return OpenAPI(), nil }

func (s *Server) getSchema(_ context.Context, in oneSchema) ([]byte, error) {
	return Schema(strings.TrimSuffix(in.Name, ".json"))
}
