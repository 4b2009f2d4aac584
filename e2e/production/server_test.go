package production

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/harness"
)

const (
	eventKey   = "event-key-of-this-test"
	signingKey = "0123456789abcdef0123456789abcdef" // the server takes no prefix
)

// server is a self-hosted Inngest server. One that startServer starts keeps its state in a temporary directory.
type server struct {
	url   string
	keys  harness.Keys
	also  string                          // a second event key; empty: none
	start func() (exited <-chan struct{}) // begins to start it, again after kill; nil, as kill, for the server of a stack
	kill  func()
}

// TestMain removes what the tests build.
func TestMain(m *testing.M) {
	testenv.RunProgram()
	code := m.Run()
	if err := os.RemoveAll(built); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

var built string // the directory of the command's program; empty: it is not built

// buildHarness builds the command of the harness.
var buildHarness = sync.OnceValues(func() (program string, err error) {
	if built, err = os.MkdirTemp("", "production-"); err != nil {
		return "", err
	}
	program = filepath.Join(built, "harness")
	out, err := exec.Command("go", "build", "-o", program, "github.com/odoo-maintenance/inngest-harness/harness/cmd/harness").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the command: %w\n%s", err, out)
	}
	return program, nil
})

// harnessProgram returns the path of the command, which all tests share.
func harnessProgram(t *testing.T) string {
	program, err := buildHarness()
	require.NoError(t, err)
	return program
}

// startServer starts a server. Where it exits on a conflict of ports, others are tried.
func startServer(t *testing.T, flags ...string) *server {
	t.Helper()
	program, err := exec.CommandContext(t.Context(), harnessProgram(t), "tools", "path", "inngest").Output()
	require.NoError(t, err, "build the servers first: make tools")
	var log string
	for range 5 {
		s, said, ok := tryServer(t, strings.TrimSpace(string(program)), freePorts(t, 4), flags...)
		if ok {
			return s
		}
		log = said
	}
	t.Fatalf("inngest start exits:\n%s", log)
	return nil
}

func tryServer(t *testing.T, program string, ports []string, flags ...string) (s *server, log string, ok bool) {
	t.Helper()
	dir := t.TempDir()
	logFile, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = logFile.Close() })
	s = &server{url: "http://127.0.0.1:" + ports[0], keys: harness.Keys{Event: eventKey, Signing: signingKey}, kill: func() {}}
	s.start = func() <-chan struct{} {
		cmd := exec.Command(program, "start", "--host", "127.0.0.1", "--port", ports[0],
			"--connect-gateway-port", ports[1], "--connect-gateway-grpc-port", ports[2], "--connect-executor-grpc-port", ports[3],
			"--event-key", s.keys.Event, "--signing-key", s.keys.Signing, "--sqlite-dir", dir)
		if s.also != "" {
			cmd.Args = append(cmd.Args, "--event-key", s.also)
		}
		cmd.Args = append(cmd.Args, flags...)
		cmd.Dir = dir
		cmd.Env = []string{"HOME=" + dir, "DO_NOT_TRACK=1", "GOGC=" + os.Getenv("GOGC")}
		cmd.Stdout, cmd.Stderr = logFile, logFile
		require.NoError(t, cmd.Start())
		exited := make(chan struct{})
		go func() { defer close(exited); _ = cmd.Wait() }()
		s.kill = func() { _ = cmd.Process.Kill(); <-exited }
		t.Cleanup(s.kill)
		return exited
	}
	exited := s.start()
	for {
		if resp, err := http.Get(s.url + "/health"); err == nil {
			resp.Body.Close()
			return s, "", true
		}
		select {
		case <-exited:
			said, err := os.ReadFile(logFile.Name())
			require.NoError(t, err)
			return s, string(said), false
		case <-t.Context().Done():
			t.Fatal("the server does not answer")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lastPort is the port that freePorts returned last.
var lastPort = struct {
	sync.Mutex
	port int
}{port: 10000 + rand.IntN(4800)}

// freePorts returns ports that were free just now, and that it has not returned before. They are below those of outgoing connections,
// one of which could take a port before its server listens: Inngest would run without its gateway, and no instance connect.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	lastPort.Lock()
	defer lastPort.Unlock()
	for len(ports) < n {
		lastPort.port++
		require.Less(t, lastPort.port, 15000, "no port is free")
		port := strconv.Itoa(lastPort.port)
		if isFree(":"+port) && isFree("127.0.0.1:"+port) {
			ports = append(ports, port)
		}
	}
	return ports
}

func isFree(addr string) bool {
	l, err := net.Listen("tcp", addr)
	return err == nil && l.Close() == nil
}

// registered returns what the server says about the app's functions, addresses included.
func (s *server) registered(t *testing.T) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/apps/odoo-maintenance/functions", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+s.keys.Signing)
	status, body := do(t, r)
	require.Equal(t, http.StatusOK, status, body)
	return body
}

func do(t *testing.T, r *http.Request) (status int, body string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// eventually calls f until it returns nil. It fails with the last error when ctx ends.
func eventually(ctx context.Context, t *testing.T, f func() error) {
	t.Helper()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(t, errors.Join(err, context.Cause(ctx)))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
