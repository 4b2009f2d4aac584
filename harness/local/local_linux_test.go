package local_test

import (
	"context"
	"encoding/base64"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

func TestMain(m *testing.M) { backendtest.Main(m) }

func TestBackend(t *testing.T) { testBackend(t, harness.MailHog) }

func TestBackend_Mailpit(t *testing.T) { testBackend(t, harness.Mailpit) }

func testBackend(t *testing.T, m harness.MailCatcher) {
	backendtest.Run(t, func(testing.TB) harness.Backend { return local.New(local.Options{}) }, backendtest.Caps{
		Broken: func(tb testing.TB) harness.Backend {
			// It cannot be set for this backend alone; none is started beside it.
			tb.Setenv("INNGEST_BIN", brokenInngest(tb))
			return local.New(local.Options{})
		},
		Crash:       backendtest.CrashProcess,
		Leftovers:   backendtest.LeftProcesses,
		MailCatcher: m,
	})
}

// A Mailpit keeps nothing over a restart, as MailHog does, and reads no variables and no configuration of its user.
func TestMailpit_StartsAnewAndAsTold(t *testing.T) {
	t.Setenv("MP_MAX_MESSAGES", "1")
	t.Setenv("MP_SMTP_REQUIRE_STARTTLS", "true")
	dir := t.TempDir()
	servers, err := local.New(local.Options{}).Start(t.Context(), harness.BackendOptions{
		Dir: dir, Services: []harness.Service{harness.ServiceMailHog}, MailCatcher: harness.Mailpit,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close(context.WithoutCancel(t.Context()))) })
	require.Equal(t, harness.Mailpit, servers.Describe()[0].MailCatcher)
	box := inbox.New(servers.Endpoints().MailHog, inbox.Options{})
	t.Cleanup(func() { require.NoError(t, box.Close(context.WithoutCancel(t.Context()))) })
	send := func() {
		require.NoError(t, smtp.SendMail(servers.Endpoints().SMTP, nil, "a@shop.test", []string{"b@shop.test"}, []byte("Subject: one\r\n\r\nHello.\r\n")))
	}
	send()
	send()
	count, err := box.Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, count)
	require.NoError(t, servers.Kill(t.Context(), harness.ServiceMailHog))
	require.NoError(t, servers.Start(t.Context(), harness.ServiceMailHog))
	count, err = box.Count(t.Context())
	require.NoError(t, err)
	require.Zero(t, count)
}

func TestMailHogLog_KeepsNoLoginsOnceItHasEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servers, err := local.New(local.Options{}).Start(t.Context(), harness.BackendOptions{Dir: dir, Services: []harness.Service{harness.ServiceMailHog}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close(context.WithoutCancel(t.Context()))) })
	login := base64.StdEncoding.EncodeToString([]byte("\x00kim\x00correct-horse"))
	send := func(subject string) {
		auth := smtp.PlainAuth("", "kim", "correct-horse", "127.0.0.1")
		require.NoError(t, smtp.SendMail(servers.Endpoints().SMTP, auth, "a@shop.test", []string{"b@shop.test"}, []byte("Subject: "+subject+"\r\n\r\nHello.\r\n")))
	}
	log := func() string {
		text, err := os.ReadFile(filepath.Join(dir, "mailhog.log"))
		require.NoError(t, err)
		return string(text)
	}

	send("one")
	require.NoError(t, servers.Stop(t.Context(), harness.ServiceMailHog))
	require.Contains(t, log(), "AUTH PLAIN ***")
	require.NotContains(t, log(), login)

	require.NoError(t, servers.Start(t.Context(), harness.ServiceMailHog))
	send("two")
	require.NoError(t, servers.Kill(t.Context(), harness.ServiceMailHog))
	require.Contains(t, log(), "Subject: one", "the rest of it stays")
	require.Contains(t, log(), "Subject: two")
	require.NotContains(t, log(), login)
	left, err := filepath.Glob(filepath.Join(dir, "mailhog.log*"))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestServers_ListenOnLoopbackOnly(t *testing.T) {
	for _, m := range harness.MailCatchers() {
		t.Run(string(m), func(t *testing.T) { listenOnLoopbackOnly(t, m) })
	}
}

func listenOnLoopbackOnly(t *testing.T, m harness.MailCatcher) {
	inngest, err := toolchain.Ensure(t.Context(), harness.ServiceInngest, toolchain.Options{})
	require.NoError(t, err)
	// Connect's ports of a server that the harness has not built listen on all interfaces: doctor says so.
	patched := inngest.Source == toolchain.SourceBuilt
	dir := t.TempDir()
	servers, err := local.New(local.Options{}).Start(t.Context(), harness.BackendOptions{Dir: dir, MailCatcher: m})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close(context.WithoutCancel(t.Context()))) })
	listening := listeners(t)
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	require.NoError(t, err)
	ports := map[string]map[string]bool{"inngest": {}, "mailhog": {}, "mongo": {}}
	for _, fd := range fds {
		socket, _ := os.Readlink(fd)
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(filepath.Dir(fd)), "cwd"))
		addr, listens := listening[socket]
		if listens && filepath.Dir(cwd) == dir {
			loopback := strings.HasPrefix(addr, "0100007F:") || filepath.Base(cwd) == "inngest" && !patched
			require.True(t, loopback, "%s listens on %s, which is not 127.0.0.1", filepath.Base(cwd), addr)
			ports[filepath.Base(cwd)][addr] = true
		}
	}
	// Besides those that were asked for, Inngest listens for its own Redis, and FerretDB behind its gate.
	require.GreaterOrEqual(t, len(ports["inngest"]), 4, "the API and three of Connect")
	require.GreaterOrEqual(t, len(ports["mailhog"]), 2)
	require.NotEmpty(t, ports["mongo"])
}

func TestServers_CollectGarbageAsThisProcessDoes(t *testing.T) {
	t.Setenv("GOGC", "321")
	dir := t.TempDir()
	servers, err := local.New(local.Options{}).Start(t.Context(), harness.BackendOptions{Dir: dir, Services: []harness.Service{harness.ServiceMailHog}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close(context.WithoutCancel(t.Context()))) })
	dirs, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	var environs []string
	for _, link := range dirs {
		if cwd, _ := os.Readlink(link); filepath.Dir(cwd) == dir {
			environ, err := os.ReadFile(filepath.Join(filepath.Dir(link), "environ"))
			require.NoError(t, err)
			environs = append(environs, string(environ))
		}
	}
	require.Len(t, environs, 1)
	require.Contains(t, environs[0], "GOGC=321\x00")
}

func TestData_IsPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	servers, err := local.New(local.Options{}).Start(t.Context(), harness.BackendOptions{Dir: dir, Services: []harness.Service{harness.ServiceMongo}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close(context.WithoutCancel(t.Context()))) })
	info, err := os.Stat(filepath.Join(dir, "mongo"))
	require.NoError(t, err)
	require.Equal(t, "drwx------", info.Mode().String(), "other users of the machine must not read the app's data")
}

// listeners are the local addresses of this machine's listening TCP sockets, as the kernel writes them.
func listeners(t *testing.T) map[string]string {
	const listening = "0A"
	all := map[string]string{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == listening {
				all["socket:["+f[9]+"]"] = f[1]
			}
		}
	}
	return all
}

// brokenInngest is a program that knows its version and nothing else.
func brokenInngest(tb testing.TB) string {
	path := filepath.Join(tb.TempDir(), "inngest")
	script := "#!/bin/sh\ncase \"$1\" in version) echo v1.43.0-0123456;; *) echo 'cannot start' >&2; exit 3;; esac\n"
	require.NoError(tb, os.WriteFile(path, []byte(script), 0o755))
	return path
}

func TestReplicaSet_IsRefusedOnTheStandIn(t *testing.T) {
	t.Setenv("MONGOD_BIN", "")
	_, err := local.New(local.Options{CacheDir: t.TempDir()}).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir(), ReplicaSet: true})
	require.ErrorIs(t, err, harness.ErrUnsupported)
	require.EqualError(t, err, "run MongoDB as a replica set: the database is FerretDB, its stand-in: not supported by this backend: "+
		"set MONGOD_BIN to a mongod, or use the containers backend with the official image", "before anything is built")
}

// TestReplicaSet_IsAskedOfMongod looks at the arguments only: the suite of the backends has a real mongod start with them, where there
// is one.
func TestReplicaSet_IsAskedOfMongod(t *testing.T) {
	dir := t.TempDir()
	mongod := filepath.Join(dir, "mongod")
	script := `#!/bin/sh
[ "$1" = --version ] && echo "db version v8.0.4" && exit
echo "$@" >"` + dir + `/args"
exit 1
`
	require.NoError(t, os.WriteFile(mongod, []byte(script), 0o755))
	t.Setenv("MONGOD_BIN", mongod)
	_, err := local.New(local.Options{}).Start(t.Context(), harness.BackendOptions{
		Dir: dir, Services: []harness.Service{harness.ServiceMongo}, ReplicaSet: true,
	})
	require.ErrorContains(t, err, "mongo exited with status 1")
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	require.NoError(t, err)
	require.Regexp(t, `^--bind_ip 127\.0\.0\.1 --port \d+ --replSet rs0 --dbpath \S+ --nounixsocket\n$`, string(args))
}
