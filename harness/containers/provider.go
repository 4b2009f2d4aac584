package containers

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"

	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
)

// The variables that testcontainers is steered with. A user's own settings are left alone.
const (
	envReaperOff = "TESTCONTAINERS_RYUK_DISABLED"
	envHost      = "TESTCONTAINERS_HOST_OVERRIDE"
)

// provider is testcontainers' way to the engine.
type provider struct {
	*testcontainers.DockerProvider
	engine *client.Client
}

// newProvider connects testcontainers to an engine that is known to answer.
func newProvider(ctx context.Context, c *client.Client) (*provider, error) {
	if err := steer(ctx, c); err != nil {
		return nil, err
	}
	var p *testcontainers.DockerProvider
	err := engine.Quietly(func() (err error) {
		p, err = testcontainers.NewDockerProvider(testcontainers.Generic2DockerOptions(testcontainers.WithLogger(tclog.NewNoopLogger()))...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect testcontainers to the Docker engine: %w", err)
	}
	return &provider{p, c}, nil
}

// steer tells testcontainers what it cannot find out. It reads its settings once in a process's life, from the
// environment, so that is where they have to be.
func steer(ctx context.Context, c *client.Client) error {
	if os.Getenv(envReaperOff) == "" {
		// The reaper is a container of its own. Where its image is not here it would be pulled, or hold up every
		// start where it cannot be; the labels do without it.
		//lint:ignore SA1019 there is no other way to learn which image it would use
		here, err := engine.HasImage(ctx, c, testcontainers.ReaperDefaultImage)
		if err != nil {
			return err
		}
		if !here {
			if err := os.Setenv(envReaperOff, "true"); err != nil {
				return err
			}
		}
	}
	// In a container of its own that runs an engine inside, testcontainers takes the default gateway for the
	// engine's host.
	if _, err := os.Stat("/.dockerenv"); err == nil && os.Getenv(envHost) == "" {
		return os.Setenv(envHost, "127.0.0.1")
	}
	return nil
}

// network makes a network and returns the address of its gateway.
func (p *provider) network(ctx context.Context, name string, labels map[string]string) (gateway string, err error) {
	//lint:ignore SA1019 network.New, which replaces it, connects anew each time
	n, err := p.CreateNetwork(ctx, testcontainers.NetworkRequest{Name: name, Driver: testcontainers.Bridge, Labels: labels})
	if err != nil {
		return "", err
	}
	id := n.(*testcontainers.DockerNetwork).ID
	found, err := p.engine.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
	if err != nil {
		return "", err
	}
	for _, c := range found.Network.IPAM.Config {
		if c.Gateway.Is4() {
			return c.Gateway.String(), nil
		}
	}
	return "", errors.New("the engine gave it no IPv4 gateway")
}
