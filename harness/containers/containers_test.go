package containers_test

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
	"github.com/odoo-maintenance/inngest-harness/harness/containers"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

func TestOnEngine_Backend(t *testing.T) { testBackend(t, harness.MailHog) }

func TestOnEngine_BackendWithMailpit(t *testing.T) { testBackend(t, harness.Mailpit) }

func testBackend(t *testing.T, m harness.MailCatcher) {
	b := containers.New(containers.Options{})
	docker := connect(t)
	backendtest.Run(t, func(testing.TB) harness.Backend { return b }, backendtest.Caps{
		Broken: func(testing.TB) harness.Backend {
			// The database does not know the command.
			return containers.New(containers.Options{Images: containers.Images{Inngest: mongoImage()}})
		},
		Crash: func(tb testing.TB, dir string, s harness.Service) {
			id := one(tb, docker, "inngest-harness.service="+string(s))
			_, err := docker.ContainerKill(tb.Context(), id, client.ContainerKillOptions{Signal: "SIGKILL"})
			require.NoError(tb, err)
		},
		Leftovers:   func(tb testing.TB) []string { return ours(tb, docker, os.Getpid()) },
		MailCatcher: m,
	})
}

func connect(t *testing.T) *client.Client {
	t.Helper()
	docker, err := engine.Connect(t.Context())
	require.NoError(t, err, "HARNESS_BACKENDS names the containers backend, so a Docker engine is required")
	t.Cleanup(func() { require.NoError(t, docker.Close()) })
	return docker
}

func mongoImage() string {
	return cmp.Or(os.Getenv(containers.EnvImageMongo), containers.OfficialImages().Mongo)
}

func mailhogImage() string {
	return cmp.Or(os.Getenv(containers.EnvImageMailHog), containers.OfficialImages().MailHog)
}

// ours lists the containers that belong to a process.
func ours(tb testing.TB, docker *client.Client, pid int) []string {
	f := make(client.Filters).Add("label", "inngest-harness.owner.pid="+strconv.Itoa(pid))
	all := []string{}
	found, err := docker.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: f})
	require.NoError(tb, err)
	for _, c := range found.Items {
		all = append(all, "container "+strings.Join(c.Names, " "))
	}
	slices.Sort(all)
	return all
}

// one returns the id of this process's only container that has a label.
func one(tb testing.TB, docker *client.Client, label string) string {
	found, err := docker.ContainerList(tb.Context(), client.ContainerListOptions{
		Filters: make(client.Filters).Add("label", label, "inngest-harness.owner.pid="+strconv.Itoa(os.Getpid())),
	})
	require.NoError(tb, err)
	require.Len(tb, found.Items, 1)
	return found.Items[0].ID
}

func TestOnEngine_PublishesPortsOnLoopbackOnly(t *testing.T) {
	docker := connect(t)
	servers := start(t, containers.New(containers.Options{}))
	defer func() { require.NoError(t, servers.Close(context.Background())) }()
	found, err := docker.ContainerList(t.Context(), client.ContainerListOptions{
		Filters: make(client.Filters).Add("label", "inngest-harness.owner.pid="+strconv.Itoa(os.Getpid())),
	})
	require.NoError(t, err)
	require.Len(t, found.Items, 3)
	for _, c := range found.Items {
		for _, p := range c.Ports {
			if p.PublicPort != 0 {
				require.Equal(t, "127.0.0.1", p.IP.String(), "%v publishes %d", c.Names, p.PrivatePort)
			}
		}
	}
}

func start(t *testing.T, b harness.Backend) harness.Servers {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	servers, err := b.Start(ctx, harness.BackendOptions{Dir: t.TempDir()})
	require.NoError(t, err)
	return servers
}

// childVariable makes this test binary a process that starts a stack and waits to be killed.
const childVariable = "CONTAINERS_TEST_CHILD"

func TestOnEngine_StartRemovesWhatAKilledProcessLeft(t *testing.T) {
	if dir := os.Getenv(childVariable); dir != "" {
		_, err := containers.New(containers.Options{}).Start(t.Context(), harness.BackendOptions{Dir: dir})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "up"), nil, 0o600))
		select {} // until killed
	}
	docker := connect(t)
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), childVariable+"="+dir)
	var out bytes.Buffer
	child.Stdout, child.Stderr = &out, &out
	require.NoError(t, child.Start())
	running, end := context.WithTimeout(t.Context(), 2*time.Minute)
	defer end()
	done := make(chan struct{})
	go func() { defer close(done); _ = child.Wait(); end() }()
	kill := func() { _ = child.Process.Kill(); <-done }
	t.Cleanup(kill)
	err := poll.Until(running, 20*time.Millisecond, func(context.Context) error {
		_, err := os.Stat(filepath.Join(dir, "up"))
		return err
	})
	if err != nil {
		kill()
		require.NoError(t, err, "the process has no stack: %v\n%s", child.ProcessState, out.String())
	}
	pid := child.Process.Pid

	living := start(t, containers.New(containers.Options{}))
	require.Len(t, ours(t, docker, pid), 3, "the owner runs: its containers are kept")
	require.NoError(t, living.Close(context.Background()))

	kill()
	require.Len(t, ours(t, docker, pid), 3, "three containers are left")
	next := start(t, containers.New(containers.Options{}))
	require.Empty(t, ours(t, docker, pid))
	require.NoError(t, next.Close(context.Background()))
}

func TestOnEngine_MissingImage(t *testing.T) {
	// Nothing listens on this port of the engine's machine, so the registry refuses connections.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	registry := l.Addr().String()
	require.NoError(t, l.Close())
	missing := containers.Options{Images: containers.Images{Mongo: registry + "/mongo:none"}}

	began := time.Now()
	_, err = containers.New(missing).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir()})
	require.Less(t, time.Since(began), 15*time.Second)
	require.ErrorContains(t, err, "the image "+registry+"/mongo:none is not here, and its registry cannot be reached")
	require.ErrorContains(t, err, "make images")
	require.ErrorContains(t, err, "--backend local")

	b, why, err := containers.Choose(t.Context(), missing, harness.BackendOptions{}, local.New(local.Options{}))
	require.NoError(t, err)
	require.Equal(t, "local", b.Name())
	require.Equal(t, "local, since the image "+registry+"/mongo:none is not here, and its registry cannot be reached; for containers: check the network of the Docker engine", why)

	found, err := containers.New(missing).Engine(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, found.Version)
	require.Contains(t, found.Missing, registry+"/mongo:none")
}

func TestOnEngine_ChooseReturnsContainers(t *testing.T) {
	b, why, err := containers.Choose(t.Context(), containers.Options{}, harness.BackendOptions{}, local.New(local.Options{}))
	require.NoError(t, err)
	require.Equal(t, "containers", b.Name())
	require.Equal(t, "containers, since a Docker engine answers and has the images; --backend local does without", why)

	found, err := containers.New(containers.Options{}).Engine(t.Context())
	require.NoError(t, err)
	require.Empty(t, found.Missing)

	// Where sim runs as Inngest, its image is not needed.
	without := containers.Options{Images: containers.Images{Inngest: "127.0.0.1:1/inngest:none"}}
	b, _, err = containers.Choose(t.Context(), without, harness.BackendOptions{Services: []harness.Service{harness.ServiceMongo, harness.ServiceMailHog}}, local.New(local.Options{}))
	require.NoError(t, err)
	require.Equal(t, "containers", b.Name())
}

func TestChoose_WithoutAnEngine(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none.sock")
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	const start = "start Docker (Docker Desktop, or the service: sudo systemctl start docker)"
	b, why, err := containers.Choose(t.Context(), containers.Options{}, harness.BackendOptions{}, local.New(local.Options{}))
	require.NoError(t, err)
	require.Equal(t, "local", b.Name())
	require.Equal(t, "local, since no Docker engine answers at unix://"+socket+"; for containers: "+start, why)

	want := "no Docker engine answers at unix://" + socket + ": " + start + ", or use the local backend (--backend local), which needs no Docker"
	_, err = containers.New(containers.Options{}).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir()})
	require.EqualError(t, err, want)
	_, err = containers.New(containers.Options{}).Engine(t.Context())
	require.EqualError(t, err, want)
}

func TestOnEngine_ContainerThatDoesNotBecomeUsable(t *testing.T) {
	// MailHog does not listen on the port of the database.
	images := containers.Images{Mongo: mailhogImage()}
	b := containers.New(containers.Options{Images: images, StartTimeout: 2 * time.Second})
	_, err := b.Start(t.Context(), harness.BackendOptions{Dir: t.TempDir(), Services: []harness.Service{harness.ServiceMongo}})
	require.ErrorContains(t, err, "mongo did not come up: mongo was not ready after")
	require.ErrorContains(t, err, "its last lines:")
	require.ErrorContains(t, err, "whole log: ")
}
