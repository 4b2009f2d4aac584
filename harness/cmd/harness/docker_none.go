//go:build nodocker

package main

import (
	"context"
	"fmt"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

const (
	noDocker   = "this command was built without Docker's client, as make dev does where there is no Docker"
	withDocker = "make dev DOCKER=yes"
)

// configureTestcontainers has nothing to configure.
func configureTestcontainers() {}

// imagesOf returns no images.
func imagesOf() map[string]string { return map[string]string{} }

// containersBackend returns an error that says how to get one.
func containersBackend() (harness.Backend, error) {
	return nil, fmt.Errorf("%s: start it with %s", noDocker, withDocker)
}

// chooseContainers returns the other backend.
func chooseContainers(_ context.Context, _ harness.BackendOptions, other harness.Backend) (harness.Backend, string, error) {
	return other, fmt.Sprintf("%s, since %s; for containers: %s", other.Name(), noDocker, withDocker), nil
}

// examineDocker says that no engine can be used.
func examineDocker(context.Context) finding {
	return finding{"docker", levelNote, noDocker, "nothing, unless you want containers: then `" + withDocker + "`"}
}
