//go:build nodocker

package main

import (
	"context"
	"fmt"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

const (
	noDocker   = "this command was built without Docker's client, as make dev does where there is no Docker"
	withDocker = "go build -o bin/ ./harness/cmd/harness"
)

func imagesOf() map[string]string { return map[string]string{} }

func inContainers() (harness.Backend, error) {
	return nil, fmt.Errorf("%s: build it with %s", noDocker, withDocker)
}

func chooseContainers(_ context.Context, _ harness.BackendOptions, other harness.Backend) (harness.Backend, string, error) {
	return other, fmt.Sprintf("%s, since %s; for containers: %s", other.Name(), noDocker, withDocker), nil
}

func examineDocker(context.Context) finding {
	return finding{"docker", levelNote, noDocker, "nothing, unless you want containers: then build it with `" + withDocker + "`"}
}
