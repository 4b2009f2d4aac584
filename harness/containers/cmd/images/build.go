package main

import (
	"archive/tar"
	"bytes"
	"cmp"
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

//go:embed *.Dockerfile postgres.sh
var files embed.FS

// healthcheckPackage is the program that reports whether a container without a shell is healthy.
const healthcheckPackage = "github.com/odoo-maintenance/inngest-harness/harness/containers/healthcheck"

func tag(name string) string { return "inngest-harness/" + name + ":dev" }

// image is one image to build, with one program and the healthcheck in its /usr/bin.
type image struct {
	name    string          // of its Dockerfile and in its tag
	program string          // the name of the program to build; empty: it is among the files
	tool    harness.Service // what it is; empty: the app
	version string
	files   map[string]string // path in the image → file here
}

// build makes the images of the servers and, unless app is empty, that of the app of this Go package; with production also
// those that only docker/compose.production.yml needs.
func build(ctx context.Context, app string, production bool, progress func(harness.Progress)) error {
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
	images := []image{
		{name: "mongo", program: "ferretdb", tool: harness.ServiceMongo},
		{name: "mailhog", program: "MailHog", tool: harness.ServiceMailHog},
		{name: "mailpit", program: "mailpit", tool: toolchain.Mailpit},
		{name: "inngest", program: "inngest", tool: harness.ServiceInngest},
	}
	if app != "" {
		images = append(images, image{name: "app", program: "app", version: "dev"})
	}
	if production {
		local, err := installed(ctx, dir, arch)
		if err != nil {
			return err
		}
		images = append(append(images, local...), image{name: "caddy", program: "caddy", tool: toolchain.Caddy})
	}
	healthcheck := filepath.Join(dir, "healthcheck")
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return goBuild(gctx, healthcheck, healthcheckPackage, arch) })
	for n := range images {
		i := &images[n]
		if i.files == nil {
			i.files = make(map[string]string)
		}
		i.files["usr/bin/healthcheck"] = healthcheck
		if i.program == "" {
			continue
		}
		g.Go(func() error {
			program := "usr/bin/" + i.program
			if i.tool == "" {
				i.files[program] = filepath.Join(dir, "app")
				return goBuild(gctx, i.files[program], app, arch)
			}
			bin, err := toolchain.Ensure(gctx, i.tool, toolchain.Options{GOOS: "linux", GOARCH: arch, Progress: progress})
			i.version, i.files[program] = toolchain.Pinned(i.tool), bin.Path
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, i := range images {
		began := time.Now()
		if err := i.build(ctx, docker); err != nil {
			return fmt.Errorf("build the image %s: %w", tag(i.name), err)
		}
		progress(harness.Progress{Subject: i.name, Doing: "image " + tag(i.name), Elapsed: time.Since(began), Done: true})
	}
	return nil
}

// architecture is the engine's, in Go's terms: it may run in a virtual machine of another kind.
func architecture(ctx context.Context, docker *client.Client) (string, error) {
	v, err := docker.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", fmt.Errorf("ask the Docker engine for its architecture: %w", err)
	}
	return cmp.Or(v.Arch, runtime.GOARCH), nil
}

// goBuild builds a static program for Linux.
func goBuild(ctx context.Context, out, pkg, arch string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags=-s -w", "-o", out, pkg)
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
	dockerfile, err := files.ReadFile(i.name + ".Dockerfile")
	if err != nil {
		return err
	}
	entrypoint, err := files.ReadFile("postgres.sh")
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	add := func(h tar.Header, content io.Reader) error {
		if err := t.WriteHeader(&h); err != nil {
			return err
		}
		_, err := io.Copy(t, content)
		return err
	}
	errs := []error{
		add(tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(dockerfile))}, bytes.NewReader(dockerfile)),
		add(tar.Header{Name: "postgres.sh", Mode: 0o755, Size: int64(len(entrypoint))}, bytes.NewReader(entrypoint)),
	}
	for name, mode := range map[string]int64{"data/": 0o755, "root/tmp/": 0o1777} {
		errs = append(errs, add(tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}, strings.NewReader("")))
	}
	for name, file := range i.files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		errs = append(errs, add(tar.Header{Name: "root/" + name, Mode: int64(info.Mode().Perm()), Size: info.Size()}, f))
	}
	return errors.Join(append(errs, t.Close())...)
}
