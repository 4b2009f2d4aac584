//go:build !nodocker

package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	tclog "github.com/testcontainers/testcontainers-go/log"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers"
)

// Only this file of the command uses the containers backend, whose Docker client is a tenth of what is compiled for it: `make dev`
// leaves it out, by the tag nodocker, where there is no Docker.

// configureTestcontainers makes testcontainers, which reads its settings from the environment, suit a program for people. Its
// reaper, a container whose image it would pull first, is not needed: the harness removes its containers itself. Its default
// logger would print into the progress.
func configureTestcontainers() {
	const reaperOff = "TESTCONTAINERS_RYUK_DISABLED"
	if os.Getenv(reaperOff) == "" {
		os.Setenv(reaperOff, "true")
	}
	tclog.SetDefault(tclog.NewNoopLogger())
}

// imagesOf returns the images of the containers backend, by service.
func imagesOf() map[string]string {
	i := containers.OfficialImages()
	return map[string]string{"inngest": i.Inngest, "mailhog": i.MailHog, "mongo": i.Mongo, "mailpit": i.Mailpit}
}

// containersBackend returns the backend. It has no error in this build.
func containersBackend() (harness.Backend, error) { return containers.New(containers.Options{}), nil }

// chooseContainers returns the containers backend where it can be used, else the other one, and why.
func chooseContainers(ctx context.Context, want harness.BackendOptions, other harness.Backend) (harness.Backend, string, error) {
	return containers.Choose(ctx, containers.Options{}, want, other)
}

// examineDocker looks for an engine for the containers backend, which is optional.
func examineDocker(ctx context.Context) finding {
	found, err := containers.New(containers.Options{}).Engine(ctx)
	switch {
	case err != nil:
		return finding{"docker", levelNote, firstLine(err.Error()),
			"nothing, unless you want containers: without an engine the servers run as processes, MongoDB's stand-in with them"}
	case len(found.Missing) > 0:
		return finding{"docker", levelNote, fmt.Sprintf("engine %s at %s, without the images %s", found.Version, found.Host, strings.Join(found.Missing, ", ")),
			"nothing: the first start on containers pulls them; without a registry, `make images` builds some from source"}
	default:
		return finding{"docker", levelOK, fmt.Sprintf("engine %s at %s, which has the images", found.Version, found.Host), ""}
	}
}
