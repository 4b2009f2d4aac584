package main

import (
	"archive/tar"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

//go:embed *.Dockerfile
var dockerfiles embed.FS

// healthcheckPackage is the program that tells whether an image without a shell is healthy.
const healthcheckPackage = "github.com/odoo-maintenance/inngest-harness/harness/containers/healthcheck"

func tag(name string) string { return "inngest-harness/" + name + ":dev" }

// image is one image to build: what its Dockerfile is called, and which programs lie in its /usr/bin.
type image struct {
	name     string
	version  string
	programs map[string]string // name in the image → file here
}

func build(ctx context.Context, app string, tell func(harness.Progress)) error {
	docker, err := engine.Connect(ctx)
	if err != nil {
		return err
	}
	defer docker.Close()
	arch, err := architecture(ctx, docker)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "harness-images-")
	if err != nil {
		return fmt.Errorf("make a directory for programs: %w", err)
	}
	defer os.RemoveAll(dir)
	images, err := collect(ctx, dir, arch, app, tell)
	if err != nil {
		return err
	}
	for _, i := range images {
		began := time.Now()
		if err := i.build(ctx, docker); err != nil {
			return fmt.Errorf("build the image %s: %w", tag(i.name), err)
		}
		tell(harness.Progress{Subject: i.name, Doing: "image " + tag(i.name), Elapsed: time.Since(began), Done: true})
	}
	return nil
}

// architecture is the engine's, in Go's words: it may run in a virtual machine of another kind.
func architecture(ctx context.Context, docker *client.Client) (string, error) {
	v, err := docker.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", fmt.Errorf("ask the Docker engine for its architecture: %w", err)
	}
	if v.Arch == "" {
		return runtime.GOARCH, nil
	}
	return v.Arch, nil
}

// collect builds the programs, side by side, and says which image each belongs to.
func collect(ctx context.Context, dir, arch, app string, tell func(harness.Progress)) ([]image, error) {
	images := []image{
		{name: "mongo", version: toolchain.Pinned(toolchain.Mongo)},
		{name: "mailhog", version: toolchain.Pinned(toolchain.MailHog)},
		{name: "inngest", version: toolchain.Pinned(toolchain.Inngest)},
	}
	tools := map[string]struct {
		tool    toolchain.Tool
		program string
	}{
		"mongo":   {toolchain.Mongo, "ferretdb"},
		"mailhog": {toolchain.MailHog, "MailHog"},
		"inngest": {toolchain.Inngest, "inngest"},
	}
	healthcheck := filepath.Join(dir, "healthcheck")
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return goBuild(gctx, healthcheck, healthcheckPackage, arch) })
	for i := range images {
		g.Go(func() error {
			t := tools[images[i].name]
			bin, err := toolchain.Ensure(gctx, t.tool, toolchain.Options{
				GOOS: "linux", GOARCH: arch,
				Progress: func(p toolchain.Progress) {
					tell(harness.Progress{Subject: string(p.Tool), Doing: p.Doing, Elapsed: p.Elapsed, Done: p.Done})
				},
			})
			images[i].programs = map[string]string{t.program: bin.Path, "healthcheck": healthcheck}
			return err
		})
	}
	if app != "" {
		program := filepath.Join(dir, "app")
		images = append(images, image{name: "app", version: "dev", programs: map[string]string{"app": program, "healthcheck": healthcheck}})
		g.Go(func() error { return goBuild(gctx, program, app, arch) })
	}
	return images, g.Wait()
}

// goBuild builds a program that needs nothing of the image it runs in.
func goBuild(ctx context.Context, out, pkg, arch string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, strings.TrimSpace(string(text)))
	}
	return nil
}

func (i image) build(ctx context.Context, docker *client.Client) error {
	read, write := io.Pipe()
	go func() { write.CloseWithError(i.writeContext(write)) }()
	defer read.Close()
	res, err := docker.ImageBuild(ctx, read, client.ImageBuildOptions{
		Tags: []string{tag(i.name)}, BuildArgs: map[string]*string{"VERSION": &i.version}, Remove: true, ForceRemove: true,
	})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return engine.ReadMessages(ctx, res.Body, nil)
}

// writeContext writes what the Dockerfile may copy. Times are left out, so that the same programs make the same image.
func (i image) writeContext(w io.Writer) error {
	dockerfile, err := dockerfiles.ReadFile(i.name + ".Dockerfile")
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	if err := t.WriteHeader(&tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(dockerfile))}); err != nil {
		return err
	}
	if _, err := t.Write(dockerfile); err != nil {
		return err
	}
	for _, d := range []struct {
		name string
		mode int64
	}{{"data/", 0o755}, {"root/", 0o755}, {"root/tmp/", 0o1777}, {"root/usr/", 0o755}, {"root/usr/bin/", 0o755}} {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: d.name, Mode: d.mode}); err != nil {
			return err
		}
	}
	for name, file := range i.programs {
		if err := addFile(t, "root/usr/bin/"+name, file); err != nil {
			return err
		}
	}
	return t.Close()
}

func addFile(t *tar.Writer, name, file string) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}
