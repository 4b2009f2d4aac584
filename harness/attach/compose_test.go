package attach

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// fakeDocker puts a docker command in PATH that knows these containers, as `docker inspect` prints them.
func fakeDocker(t *testing.T, inspect string) {
	t.Helper()
	require.NotEqual(t, "windows", runtime.GOOS, "the fake is a shell script")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "inspect.json"), []byte(inspect), 0o600))
	ids := "echo a b c"
	if inspect == "[]" {
		ids = ":"
	}
	script := fmt.Sprintf("#!/bin/sh\ncase \"$1\" in ps) %s;; inspect) /bin/cat %s/inspect.json;; esac\n", ids, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o755))
	t.Setenv("PATH", dir)
}

const published = `[
{"Config":{"Labels":{"com.docker.compose.service":"mongo"}},"NetworkSettings":{"Ports":{"27017/tcp":[{"HostIp":"127.0.0.1","HostPort":"27018"}]}}},
{"Config":{"Labels":{"com.docker.compose.service":"mailhog"}},"NetworkSettings":{"Ports":{"8025/tcp":[{"HostIp":"::","HostPort":"1"},{"HostIp":"0.0.0.0","HostPort":"8025"}],"1025/tcp":[{"HostIp":"127.0.0.1","HostPort":"1025"}]}}},
{"Config":{"Labels":{"com.docker.compose.service":"inngest"}},"NetworkSettings":{"Ports":{"8288/tcp":[{"HostIp":"127.0.0.1","HostPort":"8288"}]},"Networks":{"x":{"Gateway":"172.20.0.1"}}}}]`

func TestComposeProject(t *testing.T) {
	fakeDocker(t, published)
	found, err := ofProject(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, harness.Endpoints{
		Inngest: "http://127.0.0.1:8288", MailHog: "http://127.0.0.1:8025", SMTP: "127.0.0.1:1025",
		Mongo: "mongodb://127.0.0.1:27018/?directConnection=true",
	}, found.ends)
	require.Nil(t, found.app, "the project has none")
	gateway, ok := gatewayOf(t.Context(), found.ends.Inngest)
	require.True(t, ok)
	require.Equal(t, "172.20.0.1", gateway)
}

func TestComposeProject_UsesItsApp(t *testing.T) {
	const app = `{"Config":{"Labels":{"com.docker.compose.service":"app"},"Env":["MONGODB_URI=mongodb://mongo:27017/plant?w=1","APP_URL=http://localhost:3000"]},
		"NetworkSettings":{"Ports":{"3000/tcp":[{"HostIp":"127.0.0.1","HostPort":"3001"}]}}},`
	fakeDocker(t, "["+app+strings.TrimPrefix(published, "["))
	found, err := ofProject(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, &harness.Env{
		Addr: "127.0.0.1:3001", AppURL: "http://localhost:3000", InngestURL: "http://127.0.0.1:8288", EventKey: "harness",
		MongoURI: "mongodb://127.0.0.1:27018/plant?directConnection=true", SMTPAddr: "127.0.0.1:1025",
	}, found.app)

	fakeDocker(t, "["+strings.Replace(app, "mongodb://mongo:27017", "mongodb://kim:secret@mongo:x", 1)+strings.TrimPrefix(published, "["))
	_, err = ofProject(t.Context(), "shop")
	require.ErrorContains(t, err, "the MONGODB_URI of the compose project shop's app is no URI: ")
	require.NotContains(t, err.Error(), "secret")
}

func TestComposeProject_DoesNotRun(t *testing.T) {
	fakeDocker(t, "[]")
	_, err := ofProject(t.Context(), "shop")
	require.EqualError(t, err, "no container of the compose project shop runs: start it (docker compose -p shop up --wait), or correct HARNESS_COMPOSE_PROJECT")
	_, ok := gatewayOf(t.Context(), "http://127.0.0.1:8288")
	require.False(t, ok)
}

func TestComposeProject_PublishesNothing(t *testing.T) {
	var boxes []map[string]any
	require.NoError(t, json.Unmarshal([]byte(published), &boxes))
	boxes[1]["NetworkSettings"] = map[string]any{}
	text, err := json.Marshal(boxes)
	require.NoError(t, err)
	fakeDocker(t, string(text))
	_, err = ofProject(t.Context(), "shop")
	require.ErrorContains(t, err, "the compose project shop publishes no mailhog with its port 8025, no mailhog with its port 1025")
	require.ErrorContains(t, err, "docker-compose.yml")
}

func TestComposeProject_NoDockerCommand(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := ofProject(t.Context(), "shop")
	require.ErrorContains(t, err, "look for the compose project shop: there is no docker command in PATH")
}
