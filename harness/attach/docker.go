package attach

import (
	"bytes"
	"cmp"
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
	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongouri"
)

// The docker command is used rather than a client of the API, which would be linked into every program that uses the harness.

// dockerTime bounds one docker command.
const dockerTime = 10 * time.Second

// box is a running container.
type box struct {
	Config struct {
		Labels map[string]string
		Env    []string
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

// boxes returns the running containers that a filter of `docker ps` selects.
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

// published returns the host:port at which this machine reaches a port of the container; "" if it is not published.
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

// variable returns the value of a variable in the container's environment.
func (b box) variable(name string) string {
	for _, v := range b.Config.Env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// project are the running containers of a Docker Compose project.
type project struct {
	name  string
	boxes []box
}

func findProject(ctx context.Context, name string) (project, error) {
	all, err := boxes(ctx, "label=com.docker.compose.project="+name)
	if err != nil {
		return project{}, fmt.Errorf("look for the compose project %s: %w", name, err)
	}
	if len(all) == 0 {
		return project{}, fmt.Errorf("no container of the compose project %s runs: start it (docker compose -p %s up --wait), or correct %s", name, name, EnvProject)
	}
	return project{name, all}, nil
}

// service returns the container of a service.
func (p project) service(name string) (box, bool) {
	i := slices.IndexFunc(p.boxes, func(b box) bool { return b.Config.Labels["com.docker.compose.service"] == name })
	if i < 0 {
		return box{}, false
	}
	return p.boxes[i], true
}

// endpoints returns the addresses of the servers, which have the names of docker-compose.yml.
func (p project) endpoints() (harness.Endpoints, error) {
	var missing []string
	address := func(service, port string) string {
		if b, ok := p.service(service); ok {
			if addr := b.published(port); addr != "" {
				return addr
			}
		}
		missing = append(missing, service+" with its port "+strings.TrimSuffix(port, "/tcp"))
		return ""
	}
	ends := harness.Endpoints{
		Inngest: "http://" + address("inngest", "8288/tcp"),
		MailHog: "http://" + address("mailhog", "8025/tcp"),
		SMTP:    address("mailhog", "1025/tcp"),
		Mongo:   "mongodb://" + address("mongo", "27017/tcp") + "/?directConnection=true",
	}
	if len(missing) > 0 {
		return harness.Endpoints{}, fmt.Errorf("the compose project %s publishes no %s: its services have to be named and published as in this repository's docker-compose.yml",
			p.name, strings.Join(missing, ", no "))
	}
	return ends, nil
}

// app returns the project's own app, whose functions its Inngest server calls already: of two apps with one name, the last one to
// register would handle every event. It is nil if the project publishes none.
func (p project) app(ends harness.Endpoints) (*harness.Env, error) {
	b, ok := p.service("app")
	if !ok || b.published("3000/tcp") == "" {
		return nil, nil
	}
	uri, err := url.Parse(b.variable("MONGODB_URI"))
	if err != nil {
		return nil, fmt.Errorf("the MONGODB_URI of the compose project %s's app is no URI: %w", p.name, withoutURL(err))
	}
	// The host in its URI is known in the project's network only.
	database, err := mongouri.WithDatabase(ends.Mongo, strings.TrimPrefix(uri.Path, "/"))
	if err != nil {
		return nil, err
	}
	addr := b.published("3000/tcp")
	return &harness.Env{
		Addr: addr, AppURL: cmp.Or(b.variable("APP_URL"), "http://"+addr), InngestURL: ends.Inngest, EventKey: "harness",
		MongoURI: database, SMTPAddr: ends.SMTP,
	}, nil
}

// gatewayOf returns the address that this machine has in the network of the container that serves a URL. ok is false if no such
// container is found.
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
