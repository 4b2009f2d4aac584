package attach_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

// up starts servers for a test to attach to.
func up(t *testing.T) harness.Endpoints {
	t.Helper()
	servers, err := local.New(local.Options{}).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close(context.Background())) })
	return servers.Endpoints()
}

// TestBackend attaches to the compose project that HARNESS_COMPOSE_PROJECT names, else to servers of its own.
func TestBackend(t *testing.T) {
	o := attach.Options{OwnApp: true} // that of the suite
	if os.Getenv(attach.EnvProject) == "" {
		o.Endpoints = up(t)
	}
	backendtest.Run(t, func(testing.TB) harness.Backend { return attach.New(o) }, backendtest.Caps{Attached: true})
}

// noEnvironment unsets the variables that name servers.
func noEnvironment(t *testing.T) {
	for _, v := range []string{attach.EnvInngest, attach.EnvMail, attach.EnvSMTP, attach.EnvMongo, attach.EnvProject, attach.EnvStack, attach.EnvAllowRemote} {
		t.Setenv(v, "")
	}
}

func start(t *testing.T, o attach.Options) (harness.Servers, error) {
	t.Helper()
	return attach.New(o).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir()})
}

func TestStart_FindsServers(t *testing.T) {
	noEnvironment(t)
	ends := up(t)
	stateOf := statefile.State{
		Backend: "local", Inngest: statefile.Inngest{URL: ends.Inngest}, Mongo: statefile.Mongo{URI: ends.Mongo},
		MailHog: statefile.MailHog{URL: ends.MailHog, SMTP: ends.SMTP},
	}
	dir := t.TempDir()
	require.NoError(t, statefile.Write(dir, stateOf))
	below := filepath.Join(dir, "below")
	require.NoError(t, os.Mkdir(below, 0o755))

	t.Run("by the state file of a directory above", func(t *testing.T) {
		t.Chdir(below)
		servers, err := start(t, attach.Options{})
		require.NoError(t, err)
		require.Equal(t, ends, servers.Endpoints())
		require.NoError(t, servers.Close(t.Context()))
	})
	t.Run("by the environment", func(t *testing.T) {
		t.Setenv(attach.EnvInngest, ends.Inngest+"/")
		t.Setenv(attach.EnvMail, ends.MailHog)
		t.Setenv(attach.EnvSMTP, ends.SMTP)
		t.Setenv(attach.EnvMongo, ends.Mongo)
		t.Chdir(t.TempDir())
		servers, err := start(t, attach.Options{})
		require.NoError(t, err)
		require.Equal(t, ends, servers.Endpoints())
		require.Contains(t, servers.Describe()[2].Version, "named by the environment")
		require.NoError(t, servers.Close(t.Context()))
	})
	t.Run("by its directory, whatever else the environment names", func(t *testing.T) {
		t.Setenv(attach.EnvInngest, "http://127.0.0.1:1")
		servers, err := start(t, attach.Options{Dir: dir})
		require.NoError(t, err)
		require.Equal(t, ends, servers.Endpoints())
		require.NoError(t, servers.Close(t.Context()))
	})
	t.Run("by the directory in the environment", func(t *testing.T) {
		t.Setenv(attach.EnvStack, dir)
		servers, err := start(t, attach.Options{})
		require.NoError(t, err)
		require.Equal(t, ends, servers.Endpoints())
		require.NoError(t, servers.Close(t.Context()))
		t.Setenv(attach.EnvStack, below)
		_, err = start(t, attach.Options{})
		require.ErrorContains(t, err, "no stack is up in "+below+": ")
	})
	t.Run("without the database that MongoDB's address names", func(t *testing.T) {
		withDatabase := ends
		withDatabase.Mongo = strings.Replace(ends.Mongo, "/?", "/plant?", 1)
		servers, err := start(t, attach.Options{Endpoints: withDatabase})
		require.NoError(t, err)
		require.Equal(t, ends, servers.Endpoints())
		require.NoError(t, servers.Close(t.Context()))
	})
	t.Run("but not by half an environment", func(t *testing.T) {
		t.Setenv(attach.EnvInngest, ends.Inngest)
		t.Chdir(dir)
		_, err := start(t, attach.Options{})
		require.EqualError(t, err, "attach to the servers named by the environment: no address for "+
			"the mailbox (HARNESS_MAIL_URL), SMTP (HARNESS_SMTP_ADDR), MongoDB (HARNESS_MONGO_URI); name all four")
	})
}

func TestStart_SaysHowToBeginWhenNothingIsUp(t *testing.T) {
	noEnvironment(t)
	t.Chdir(t.TempDir())
	_, err := start(t, attach.Options{})
	require.ErrorIs(t, err, statefile.ErrNoStack)
	require.ErrorContains(t, err, "start one with `harness up`")
	require.ErrorContains(t, err, attach.EnvInngest)
	require.ErrorContains(t, err, attach.EnvProject)
}

func TestStart_IgnoresAStaleStateFile(t *testing.T) {
	noEnvironment(t)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, statefile.Dir), 0o755))
	stale := `{"pid":1073741824,"started":"2020-01-01T00:00:00Z","backend":"local"}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, statefile.Dir, "stack.json"), []byte(stale), 0o600))
	_, err := start(t, attach.Options{Dir: dir})
	require.ErrorIs(t, err, statefile.ErrNoStack)
	require.ErrorContains(t, err, "is stale")
}

func TestStart_RefusesServersThatAreNotOnLoopback(t *testing.T) {
	noEnvironment(t)
	good := harness.Endpoints{Inngest: "http://localhost:1", MailHog: "http://[::1]:1", SMTP: "127.0.0.1:1", Mongo: "mongodb://127.0.0.1:1,127.0.0.2:1/"}
	for name, c := range map[string]struct {
		change func(*harness.Endpoints)
		want   string
	}{
		"inngest":           {func(e *harness.Endpoints) { e.Inngest = "https://inngest.example" }, "Inngest at inngest.example is not on this machine's loopback"},
		"mailhog":           {func(e *harness.Endpoints) { e.MailHog = "http://192.0.2.1:8025" }, "the mailbox at 192.0.2.1:8025 is not"},
		"smtp":              {func(e *harness.Endpoints) { e.SMTP = "smtp.example:25" }, "SMTP at smtp.example:25 is not"},
		"one of many hosts": {func(e *harness.Endpoints) { e.Mongo = "mongodb://user:secret@127.0.0.1:1,db.example:1/" }, "MongoDB at db.example:1 is not"},
		"a wrong address":   {func(e *harness.Endpoints) { e.Mongo = "mongodb://user:secret@127.0.0.1:x" }, "attach to the servers given by the program: the MongoDB address is no URI: invalid port"},
	} {
		t.Run(name, func(t *testing.T) {
			ends := good
			c.change(&ends)
			_, err := start(t, attach.Options{Endpoints: ends})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "secret")
			if name != "a wrong address" {
				require.ErrorContains(t, err, "HARNESS_ALLOW_REMOTE=1")
				_, err = start(t, attach.Options{Endpoints: good, AllowRemote: true})
				require.NotContains(t, err.Error(), "loopback")
			}
		})
	}
}

func TestStart_NamesEveryServerThatDoesNotAnswer(t *testing.T) {
	noEnvironment(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().String()
	require.NoError(t, l.Close())
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	defer other.Close()

	_, err = start(t, attach.Options{Endpoints: harness.Endpoints{
		Inngest: other.URL, MailHog: "http://" + closed, SMTP: closed, Mongo: "mongodb://" + closed + "/?directConnection=true",
	}})
	require.ErrorContains(t, err, "Inngest given by the program does not answer (what answers at "+other.URL+" is not an Inngest dev server): start it, or correct its address")
	for _, name := range []string{"the mailbox", "SMTP", "MongoDB"} {
		require.ErrorContains(t, err, name+" given by the program does not answer (")
	}
}

// production answers as `inngest start` does: it tells nothing without the key.
func production(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer 00ff" {
			http.Error(w, "Authentication failed", http.StatusUnauthorized)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestStart_NeedsOnlyTheServersThatAreAskedFor(t *testing.T) {
	noEnvironment(t)
	t.Setenv("INNGEST_EVENT_KEY", "e")
	t.Setenv("INNGEST_SIGNING_KEY", "00ff")
	t.Chdir(t.TempDir())
	with := func(services ...harness.Service) (harness.Servers, error) {
		return attach.New(attach.Options{}).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir(), Services: services})
	}
	inngest := production(t)
	t.Setenv(attach.EnvInngest, inngest)
	keys := harness.Keys{Event: "e", Signing: "00ff"}
	up, err := with(harness.ServiceInngest, harness.ServiceMailHog)
	require.NoError(t, err, "that a server asks for its key is an answer, and a mailbox need not be there")
	require.Equal(t, harness.Endpoints{Inngest: inngest, Keys: keys}, up.Endpoints())
	require.Len(t, up.Describe(), 1)
	_, err = with(harness.ServiceMongo)
	require.ErrorIs(t, err, harness.ErrUnsupported)

	t.Setenv(attach.EnvMail, "http://127.0.0.1:1")
	_, err = with(harness.ServiceInngest)
	require.NoError(t, err, "the mailbox is not asked for")
	_, err = with(harness.ServiceMailHog)
	require.ErrorContains(t, err, "the mailbox named by the environment does not answer")
	t.Setenv(attach.EnvInngest, "")
	_, err = with(harness.ServiceInngest)
	require.EqualError(t, err, "attach to the servers named by the environment: no address for Inngest: set HARNESS_INNGEST_URL")

	t.Setenv(attach.EnvInngest, "https://inngest.example")
	_, err = with(harness.ServiceInngest)
	require.ErrorContains(t, err, "HARNESS_ALLOW_REMOTE=1")
}
