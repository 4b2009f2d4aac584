//go:build unix && languages

package main

import "testing"

// TestLanguages runs testdata/languages: apps in other languages than Go, and requests to the API by curl, which need python3,
// node, curl and jq. It fails where they are missing; a run without the build tag does not ask for them.
func TestLanguages(t *testing.T) { runScripts(t, "testdata/languages") }
