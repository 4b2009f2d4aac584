//go:build unix && containers

package main

import "testing"

// TestContainers runs testdata/containers, which needs a Docker engine that has the images or can pull them. It fails
// where there is none; a run without the build tag does not ask for one.
func TestContainers(t *testing.T) { runScripts(t, "testdata/containers") }
