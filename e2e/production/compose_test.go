//go:build compose

// The compose profile production, with the commands that docs/production.md shows. It needs Docker, and the images that
// COMPOSE_FILE names: official ones, or those of `go run ./harness/containers/cmd/images -app ./app/cmd/app -production`.

package production

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

const (
	public    = "https://localhost:8443"
	operators = "https://localhost:9443"
	project   = "maintenance-ci"
)

// composed is the stack of the compose profile.
type composed struct {
	*testing.T
	secrets string   // the directory
	section []string // the commands in docs/production.md that have not been run
}

func TestCompose_ProfileProduction(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	c := compose(t)
	c.documented(ctx, "export COMPOSE_FILE=") // compose has set it
	c.documented(ctx, "sh scripts/secrets.sh")
	made := c.read("api_token")
	c.shell(ctx, "sh scripts/secrets.sh")
	require.Equal(t, made, c.read("api_token"), "made again, scripts/secrets.sh must keep what exists")
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx)
		if t.Failed() {
			t.Log(c.shell(ctx, "docker compose ps --all; docker compose logs --timestamps --tail 60"))
		}
		c.shell(ctx, "docker compose down --volumes --remove-orphans")
	})
	c.documented(ctx, "docker compose up")
	c.documented(ctx, "docker compose run --rm seed")
	c.documented(ctx, "docker compose cp")
	t.Setenv("SSL_CERT_FILE", filepath.Join(c.secrets, "ca.crt")) // before the first TLS connection of this process
	require.Contains(t, c.documented(ctx, "make demo"), "requests, ")

	require.Contains(t, c.documented(ctx, "harness runs"), "send-request-notification  COMPLETED")

	c.board(ctx)

	c.closed(ctx)
	c.hidden(ctx)
	c.request(ctx, fixtures.Requests()[0])
	app, _, _ := strings.Cut(c.containers(ctx, "app"), "\n")
	c.shell(ctx, "docker kill "+app)
	c.request(ctx, fixtures.Requests()[1])

	c.documented(ctx, "docker compose up --wait --scale")
	require.Len(t, strings.Fields(c.containers(ctx, "app")), 3)
	c.request(ctx, fixtures.Requests()[2])
	c.documented(ctx, "docker compose down")
	require.Empty(t, c.containers(ctx, ""))

	c.shell(ctx, "docker compose up --wait")
	old := c.read("api_token")
	c.documented(ctx, "rm docker/secrets/signing_key ")
	c.documented(ctx, "sh scripts/secrets.sh")
	c.documented(ctx, "docker compose up --wait --force-recreate app inngest")
	c.request(ctx, fixtures.Requests()[0])
	_, err := testenv.CreateAs(ctx, public, old, fixtures.Requests()[1])
	require.NoError(t, err, "the previous token is accepted until the overlap ends")
	c.documented(ctx, "rm docker/secrets/signing_key_fallback ")
	c.documented(ctx, "sh scripts/secrets.sh")
	c.documented(ctx, "docker compose up --wait --force-recreate app")
	c.request(ctx, fixtures.Requests()[2])
	_, err = testenv.CreateAs(ctx, public, old, fixtures.Requests()[1])
	require.ErrorContains(t, err, "401 Unauthorized")

	t.Setenv("INNGEST_CONNECT", "1")
	c.shell(ctx, "docker compose up --wait")
	c.request(ctx, fixtures.Requests()[3])
	require.Contains(t, c.shell(ctx, "docker compose logs app"), "connected to Inngest")
	require.Empty(t, c.section, "commands in docs/production.md that no test runs")
}

// compose reads the commands, removes what an earlier test has left, and sets the environment.
func compose(t *testing.T) *composed {
	t.Helper()
	c := &composed{T: t, secrets: filepath.Join(t.TempDir(), "secrets")}
	text, err := os.ReadFile("../../docs/production.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Docker Compose\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^    (\S(?:.*\\\n)*.*)$`).FindAllStringSubmatch(section, -1) {
		c.section = append(c.section, m[1])
	}
	if os.Getenv("COMPOSE_FILE") == "" {
		t.Setenv("COMPOSE_FILE", "docker/compose.production.yml:docker/compose.production.source.yml")
	}
	t.Setenv("COMPOSE_PROFILES", "production")
	t.Setenv("COMPOSE_PROJECT_NAME", project)
	t.Setenv("SECRETS", c.secrets)
	c.shell(t.Context(), "docker compose down --volumes --remove-orphans")
	return c
}

// board starts the documented dashboard, and requires that it shows the run and the email of a request.
func (c *composed) board(ctx context.Context) {
	c.Helper()
	cmd := c.command(ctx, c.take("up --backend attach")+" --ports free")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	interrupt := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.Cancel, cmd.WaitDelay = interrupt, 20*time.Second
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	require.NoError(c, err)
	require.NoError(c, cmd.Start())
	address := ""
	for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == "dashboard" {
			address = words[1]
		}
	}
	if address == "" {
		_ = cmd.Wait()
		require.Fail(c, "no dashboard", errs.String())
	}
	technician := c.request(ctx, fixtures.Requests()[3])
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/live", http.NoBody)
	require.NoError(c, err)
	live, err := http.DefaultClient.Do(r)
	require.NoError(c, err)
	defer live.Body.Close()
	shown, all := bufio.NewReader(live.Body), ""
	for _, what := range []string{"maintenance/request.created", `"fn":"send-request-notification","state":"completed"`, technician} {
		for !strings.Contains(all, what) { // what changes comes until ctx ends
			line, err := shown.ReadString('\n')
			require.NoError(c, err, "the dashboard does not show %s", what)
			all += line
		}
	}
	require.NoError(c, interrupt())
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // the shell is interrupted too
	require.Contains(c, errs.String(), "stopped after")
}

// documented runs the command in docs/production.md that contains some words.
func (c *composed) documented(ctx context.Context, words string) (printed string) {
	c.Helper()
	command := c.take(words)
	if strings.HasPrefix(command, "export ") {
		return ""
	}
	return c.shell(ctx, command)
}

// take returns that command, and takes it off the list.
func (c *composed) take(words string) (command string) {
	c.Helper()
	for n, command := range c.section {
		if strings.Contains(command, words) {
			c.section = append(c.section[:n:n], c.section[n+1:]...)
			return command
		}
	}
	c.Fatalf("docs/production.md shows no command with %q after those that were run; these are left: %q", words, c.section)
	return ""
}

// command is a command of a person at the root of the repository. Secrets are in a directory of the test, and Compose may be
// missing on the machine.
func (c *composed) command(ctx context.Context, command string) *exec.Cmd {
	command = strings.NewReplacer("docker compose ", "sh scripts/compose.sh ", "docker/secrets/", "$SECRETS/").Replace(command)
	cmd := exec.CommandContext(ctx, "sh", "-ec", command)
	cmd.Dir = "../.."
	return cmd
}

// shell runs a command to its end.
func (c *composed) shell(ctx context.Context, command string) (printed string) {
	c.Helper()
	began := time.Now()
	cmd := c.command(ctx, command)
	out, err := cmd.CombinedOutput()
	require.NoError(c, err, "%s\n%s", command, out)
	c.Logf("%5.1f s  %s", time.Since(began).Seconds(), command)
	return string(out)
}

func (c *composed) read(secret string) string {
	c.Helper()
	text, err := os.ReadFile(filepath.Join(c.secrets, secret))
	require.NoError(c, err)
	return strings.TrimSpace(string(text))
}

// containers returns the ids of the containers that run a service; of all services without a name.
func (c *composed) containers(ctx context.Context, service string) string {
	filter := " --filter label=com.docker.compose.project=" + project
	if service != "" {
		filter += " --filter label=com.docker.compose.service=" + service
	}
	return strings.TrimSpace(c.shell(ctx, "docker ps --quiet"+filter))
}

// request creates a request through the balancer, and waits for its email in the mailbox behind the login. It returns the
// address.
func (c *composed) request(ctx context.Context, f fixtures.Request) (to string) {
	c.Helper()
	r, err := testenv.CreateAs(ctx, public, c.read("api_token"), f)
	require.NoError(c, err)
	box := inbox.New("https://operator:"+c.read("operator_password")+"@localhost:9443/mail", inbox.Options{})
	defer func() { assert.NoError(c, box.Close(context.WithoutCancel(ctx))) }()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	m, err := box.Wait(ctx, testenv.EmailOf(r))
	require.NoError(c, err)
	return m.To[0].Address
}

// closed requires that only the app is public, without what Inngest calls, and that the servers behind the other address ask
// for the login, or for their own keys.
func (c *composed) closed(ctx context.Context) {
	c.Helper()
	get := func(url, password string) int {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		require.NoError(c, err)
		if password != "" {
			r.SetBasicAuth("operator", password)
		}
		status, _ := do(c.T, r)
		return status
	}
	assert.Equal(c, http.StatusOK, get(public+"/readyz", ""))
	assert.Equal(c, http.StatusUnauthorized, get(public+"/api/requests", ""))
	for _, path := range []string{"/api/inngest", "/v0/gql", "/mcp", "/metrics", "/mail/"} {
		assert.Equal(c, http.StatusNotFound, get(public+path, ""), path)
	}
	for _, path := range []string{"/", "/v0/gql", "/mcp", "/metrics", "/dev", "/fn/register", "/mail/api/v2/messages", "/v1/events", "/v1/apps/x/functions", "/v2/apps", "/api/v2/apps"} {
		assert.Equal(c, http.StatusUnauthorized, get(operators+path, ""), path)
		assert.Equal(c, http.StatusUnauthorized, get(operators+path, "wrong"), path)
	}
	for _, path := range []string{"/metrics", "/mail/api/v2/messages"} {
		assert.Equal(c, http.StatusOK, get(operators+path, c.read("operator_password")), path)
	}
	status, said := do(c.T, event(ctx, c.T, operators+"/e/wrong-key"))
	assert.Equal(c, http.StatusUnauthorized, status, said)
}

func event(ctx context.Context, t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"name":"test/none","data":{}}`))
	require.NoError(t, err)
	return r
}

// hidden requires that only the balancer publishes ports, on loopback, that every service is restarted and limited, and that
// no configuration of a container contains a secret.
func (c *composed) hidden(ctx context.Context) {
	c.Helper()
	running := strings.Fields(c.containers(ctx, ""))
	require.Len(c, running, 8)
	const format = `{{.Name}} {{.HostConfig.RestartPolicy.Name}} {{if .HostConfig.Memory}}limited{{end}} {{range $p, $b := .NetworkSettings.Ports}}{{range $b}}{{.HostIp}} {{end}}{{end}}`
	ids := strings.Join(running, " ")
	for line := range strings.Lines(c.shell(ctx, fmt.Sprintf("docker inspect --format '%s' %s", format, ids))) {
		want := " unless-stopped limited"
		if strings.Contains(line, "balancer") {
			want += " 127.0.0.1 127.0.0.1"
		}
		assert.Equal(c, want, strings.TrimRight(line[strings.Index(line, " "):], " \n"), "restart policy, memory limit, published on: %s", line)
	}
	all := c.shell(ctx, "docker inspect "+ids)
	files, err := os.ReadDir(c.secrets)
	require.NoError(c, err)
	for _, f := range files {
		if value := c.read(f.Name()); value != "" {
			assert.NotContains(c, all, value, "the secret %s", f.Name())
		}
	}
}
