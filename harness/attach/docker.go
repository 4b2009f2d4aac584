package attach

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// The docker command is used, not its API's client, which would come into every program that links the harness.

// dockerTime bounds one docker command.
const dockerTime = 10 * time.Second

// box is a running container.
type box struct {
	Config struct {
		Labels map[string]string
	}
	NetworkSettings struct {
		// Ports is keyed as in "8288/tcp".
		Ports map[string][]struct {
			HostIP   string `json:"HostIp"`
			HostPort string
		}
		Networks map[string]struct{ Gateway string }
	}
}

func docker(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("there is no docker command in PATH: %w", err)
	case err != nil:
		return nil, fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// boxes returns the running containers that a filter of `docker ps` lets through.
func boxes(ctx context.Context, filter string) ([]box, error) {
	out, err := docker(ctx, "ps", "--quiet", "--no-trunc", "--filter", filter)
	if err != nil {
		return nil, err
	}
	ids := strings.Fields(string(out))
	if len(ids) == 0 {
		return nil, nil
	}
	if out, err = docker(ctx, append([]string{"inspect"}, ids...)...); err != nil {
		return nil, err
	}
	var all []box
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, fmt.Errorf("read what docker inspect says: %w", err)
	}
	return all, nil
}

// published returns the host:port where this machine reaches a port of the container.
func (b box) published(port string) string {
	for _, p := range b.NetworkSettings.Ports[port] {
		ip, err := netip.ParseAddr(p.HostIP)
		switch {
		case err != nil || !ip.Is4():
			continue
		case ip.IsUnspecified():
			return "127.0.0.1:" + p.HostPort
		default:
			return p.HostIP + ":" + p.HostPort
		}
	}
	return ""
}

// compose returns the servers of a Docker Compose project by the names that docker-compose.yml gives them.
func compose(ctx context.Context, project string) (harness.Endpoints, error) {
	var ends harness.Endpoints
	all, err := boxes(ctx, "label=com.docker.compose.project="+project)
	if err != nil {
		return ends, fmt.Errorf("look for the compose project %s: %w", project, err)
	}
	if len(all) == 0 {
		return ends, fmt.Errorf("no container of the compose project %s runs: start it (docker compose -p %s up --wait), or correct %s", project, project, EnvProject)
	}
	var missing []string
	address := func(service, port string) string {
		i := slices.IndexFunc(all, func(b box) bool { return b.Config.Labels["com.docker.compose.service"] == service })
		if i >= 0 {
			if addr := all[i].published(port); addr != "" {
				return addr
			}
		}
		missing = append(missing, service+" with its port "+strings.TrimSuffix(port, "/tcp"))
		return ""
	}
	ends.Inngest = "http://" + address("inngest", "8288/tcp")
	ends.MailHog = "http://" + address("mailhog", "8025/tcp")
	ends.SMTP = address("mailhog", "1025/tcp")
	ends.Mongo = "mongodb://" + address("mongo", "27017/tcp") + "/?directConnection=true"
	if len(missing) > 0 {
		return harness.Endpoints{}, fmt.Errorf("the compose project %s publishes no %s: its services have to be named and published as in this repository's docker-compose.yml",
			project, strings.Join(missing, ", no "))
	}
	return ends, nil
}

// gatewayOf returns the address that this machine has in the network of the container that serves a URL; ok is false
// where no container does, as far as can be told.
func gatewayOf(ctx context.Context, serverURL string) (gateway string, ok bool) {
	u, err := url.Parse(serverURL)
	if err != nil || u.Port() == "" {
		return "", false
	}
	all, err := boxes(ctx, "publish="+u.Port())
	if err != nil {
		return "", false
	}
	for _, b := range all {
		for _, n := range b.NetworkSettings.Networks {
			if n.Gateway != "" {
				return n.Gateway, true
			}
		}
	}
	return "", false
}
