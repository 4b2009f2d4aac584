package stackapi

import (
	"embed"
	"net/http"
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

func (s *Server) serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(OpenAPI()) // fails only if the client has gone
}

func (s *Server) serveSchema(w http.ResponseWriter, r *http.Request) {
	data, err := Schema(strings.TrimSuffix(r.PathValue("name"), ".json"))
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/schema+json")
	_, _ = w.Write(data) // fails only if the client has gone
}
