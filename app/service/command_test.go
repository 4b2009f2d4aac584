package service_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app/config"
	"github.com/odoo-maintenance/inngest-harness/app/service"
)

// command runs one with that environment, so its tests cannot run in parallel.
func command(t *testing.T, environ map[string]string, args ...string) (code int, stdout, stderr string) {
	for _, variable := range config.Table() {
		for _, name := range []string{variable.Name, variable.Name + "_FILE"} {
			t.Setenv(name, environ[name])
		}
	}
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{
		"world.json":   `{"users":[{"id":"` + technicianID + `","name":"Kim","email":"kim@plant.test","role":"technician"}]}`,
		"unknown.json": `{"people":[]}`,
		"uri":          "mongodb://127.0.0.1:1/y?serverSelectionTimeoutMS=100\n",
		"invalid.json": `{"users":[{"id":"7","name":"Kim","role":"technician"}]}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(".", name), []byte(content), 0o600))
	}
	var out, err bytes.Buffer
	code = service.Command(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestCommand(t *testing.T) {
	dev := map[string]string{"INNGEST_DEV": "1", "MONGODB_URI": "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=100", "PORT": "1"}
	remote := map[string]string{"INNGEST_DEV": "1", "MONGODB_URI": "mongodb://kim:secret@127.0.0.1:1,db.invalid:1/plant?serverSelectionTimeoutMS=100"}
	for name, c := range map[string]struct {
		environ map[string]string
		args    []string
		code    int
		want    string // in stdout or stderr
	}{
		"help":                     {nil, []string{"help"}, 0, "app seed FILE.json [--force]"},
		"help shows the variables": {nil, []string{"--help"}, 0, "MONGODB_URI"},
		"no configuration":         {nil, nil, 1, "app: the configuration is not valid (production mode"},
		"no such command":          {dev, []string{"sed"}, 2, `app: unknown command "sed"` + "\n" + `Type "app help" to see what there is.`},
		"seed without a file":      {dev, []string{"seed", "--force"}, 2, "seed takes one file: app seed FILE.json [--force]"},
		"seed with two files":      {dev, []string{"seed", "a", "b"}, 2, "seed takes one file"},
		"no such file":             {dev, []string{"seed", "nothing.json"}, 1, "nothing.json"},
		"not a world":              {dev, []string{"seed", "unknown.json"}, 1, `unknown.json is not a world of users and equipment: json: unknown field "people"`},
		"an invalid world":         {dev, []string{"seed", "invalid.json"}, 1, "invalid.json: invalid world:\n  users[0].id must be an id"},
		"seed without a database":  {dev, []string{"seed", "world.json"}, 1, "database x at 127.0.0.1:1 does not answer"},
		"seed elsewhere": {remote, []string{"seed", "world.json"}, 1,
			"database plant at 127.0.0.1:1,db.invalid:1 is not on this machine: seeding would overwrite users and equipment there; if that is what you want, add --force"},
		"seed elsewhere, forced": {remote, []string{"seed", "--force", "world.json"}, 1, "does not answer"},
		"seed needs only the database": {map[string]string{"MONGODB_URI": "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=100"},
			[]string{"seed", "world.json"}, 1, "database x at 127.0.0.1:1 does not answer"},
		"seed reads the database from a file": {map[string]string{"MONGODB_URI_FILE": "uri"}, []string{"seed", "world.json"}, 1, "database y at 127.0.0.1:1 does not answer"},
		"healthcheck needs only the port":     {map[string]string{"PORT": "1"}, []string{"healthcheck"}, 1, "refused"},
		"sync takes no argument":              {dev, []string{"sync", "now"}, 2, `unknown command "sync"`},
		"healthcheck of nothing":              {dev, []string{"healthcheck"}, 1, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := command(t, c.environ, c.args...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stdout+stderr, c.want)
			require.NotContains(t, stdout+stderr, "secret")
		})
	}
}

func TestHealthcheck(t *testing.T) {
	server := newServer(t)
	url, _ := run(t, configure(t, development(server)), service.Deps{Store: memory(t)})
	port := url[len("http://127.0.0.1:"):]
	code, _, stderr := command(t, map[string]string{"INNGEST_DEV": "1", "PORT": port}, "healthcheck")
	require.Zero(t, code, stderr)
}
