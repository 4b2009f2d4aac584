//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// idleBackend starts idleServers.
type idleBackend struct{ servers *idleServers }

func (idleBackend) Name() string { return "idle" }
func (b idleBackend) Start(context.Context, harness.BackendOptions) (harness.Servers, error) {
	return b.servers, nil
}

// idleServers are servers that do nothing. closed is the context of their Close.
type idleServers struct {
	harness.Servers
	closed context.Context
	live   error // of that context, then
}

func (*idleServers) Endpoints() harness.Endpoints {
	return harness.Endpoints{Inngest: "http://127.0.0.1:1", MailHog: "http://127.0.0.1:1", SMTP: "127.0.0.1:1", Mongo: "mongodb://127.0.0.1:1"}
}
func (s *idleServers) Close(ctx context.Context) error {
	s.closed, s.live = ctx, ctx.Err()
	return nil
}

// hangingBoard is a dashboard that cannot be closed.
func TestStop_EndsServersWhateverTheFrontDoes(t *testing.T) {
	t.Parallel()
	servers := &idleServers{}
	st, err := stack.Start(t.Context(), idleBackend{servers}, stack.Options{WithoutTaps: true})
	require.NoError(t, err)
	f, err := openFront(st, 0, upOptions{}, func() statefile.State { return statefile.State{} })
	require.NoError(t, err)
	s := &session{stack: st, dir: t.TempDir(), printer: newPrinter(discard()), front: f}
	hanging, end := context.WithCancel(t.Context())
	f.server.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hanging.Done() })
	defer end()
	asked := make(chan error)
	go func() { _, err := http.Get(f.url); asked <- err }()
	require.NoError(t, s.stop(t.Context()))
	require.Error(t, <-asked, "the request that hangs was not ended")
	require.NotNil(t, servers.closed, "the servers were not ended")
	require.NoError(t, servers.live, "the servers had no time left to end gracefully")
}

func TestGraceOf_IsShortWhereNothingIsToBeStopped(t *testing.T) {
	t.Parallel()
	require.Greater(t, graceOf([]string{"up", "--ports", "free"}), stopTimeout)
	require.Greater(t, graceOf([]string{"tools", "build"}), stopTimeout)
	require.Greater(t, graceOf([]string{"explore", "--replay", "1.json"}), stopTimeout)
	for _, args := range [][]string{nil, {"mail", "ls"}, {"expect", "--send", "up", "x"}, {"down"}} {
		require.Less(t, graceOf(args), stopTimeout/2, args)
	}
	require.Greater(t, downTimeout, graceOf([]string{"up"}), "down must see the end of up")
}

// interruptedRun runs a command that has been interrupted already.
func interruptedRun(t *testing.T, in io.Reader, args ...string) (status int, said string) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	var out bytes.Buffer
	world := discard()
	world.in, world.err = in, &out
	status = run(ctx, args, world)
	return status, out.String()
}

func TestCommands_EndAtAnInterruptWhileTheyRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.json")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	event := filepath.Join(dir, "event.json")
	require.NoError(t, os.WriteFile(event, []byte(`{"name":"a/b"}`), 0o600))
	silent, end := io.Pipe()
	defer end.Close()
	for _, tt := range []struct {
		said string
		args []string
	}{
		{"read standard input: interrupted", []string{"send", "-"}},
		{"read " + pipe + ": interrupted", []string{"send", pipe}},
		{"read standard input: interrupted", []string{"expect", "--send", event, "-"}},
		{"read " + pipe + ": interrupted", []string{"expect", "--send", event, pipe}},
		{"read " + pipe + ": interrupted", []string{"expect", "--send", "-", pipe}},
	} {
		status, said := interruptedRun(t, silent, tt.args...)
		require.NotZero(t, status)
		require.Equal(t, "harness: "+tt.said+"\n", said, strings.Join(tt.args, " "))
	}
}

func TestReport_RefusesPipesAndDevices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "record-x.json"), 0o600))
	var out bytes.Buffer
	world := discard()
	world.err = &out
	require.Equal(t, exitFailed, run(t.Context(), []string{"report", dir}, world))
	require.Contains(t, out.String(), "record-x.json: it is no regular file")
}

func TestReadFile_HasALimit(t *testing.T) {
	t.Parallel()
	_, err := readFile(t.Context(), discard(), "/dev/zero")
	require.EqualError(t, err, "read /dev/zero: it is larger than 256 MB")
}

func TestReadEvents_SkipsAByteOrderMark(t *testing.T) {
	t.Parallel()
	world := discard()
	world.in = strings.NewReader("\ufeff{\"name\":\"a/b\"}\r\n")
	events, err := readEvents(t.Context(), world, stdinName)
	require.NoError(t, err)
	require.Equal(t, "a/b", events[0].Name)
}

func TestFront_TellsWhoHasTheTokenWhatToMask(t *testing.T) {
	t.Setenv("STOP_TEST_TOKEN", "correct-horse-battery")
	st, err := stack.Start(t.Context(), idleBackend{&idleServers{}}, stack.Options{WithoutTaps: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close(context.Background())) }()
	f, err := openFront(st, 0, upOptions{}, func() statefile.State { return statefile.State{} })
	require.NoError(t, err)
	defer func() { require.NoError(t, f.close(context.Background())) }()
	ask := func(token, host string) (int, string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, f.api().URL+"/secrets", nil)
		r.Host = host
		r.Header.Set("Authorization", "Bearer "+token)
		f.server.Handler.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	code, said := ask(f.token, "127.0.0.1:1")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, said, `"correct-horse-battery"`)
	code, said = ask(f.token, "evil.test")
	require.Equal(t, http.StatusForbidden, code)
	require.NotContains(t, said, "correct-horse")
	for _, guess := range []string{"", "x", f.token[1:], f.token + "x"} {
		code, said = ask(guess, "127.0.0.1:1")
		require.Equal(t, http.StatusUnauthorized, code)
		require.NotContains(t, said, "correct-horse")
	}
}

func TestLogWriter_MasksWhatTheStandardLibraryLogs(t *testing.T) {
	t.Setenv("STOP_TEST_TOKEN", "correct-horse-battery")
	st, err := stack.Start(t.Context(), idleBackend{&idleServers{}}, stack.Options{WithoutTaps: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close(context.Background())) }()
	var out bytes.Buffer
	world := discard()
	world.err = &out
	logger := log.New(logWriter{newPrinter(world), st.Redactor()}, "", 0)
	logger.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=<nil>", "\x1b[2J correct-horse-battery")
	require.Equal(t, `log      Unsolicited response received on idle HTTP channel starting with "\x1b[2J ***"; err=<nil>`+"\n", out.String())
}

func TestDown_InterruptsNothingButAnUp(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, statefile.Write(dir, statefile.State{Backend: "local"})) // it names this process, which holds no lock
	var out bytes.Buffer
	world := discard()
	world.err = &out
	require.Equal(t, exitFailed, run(t.Context(), []string{"down"}, world))
	require.Contains(t, out.String(), "is no `harness up`: remove that file")

	unlock, err := lock(t.Context(), dir)
	require.NoError(t, err)
	require.True(t, locked(dir))
	unlock()
	require.False(t, locked(dir))
}
