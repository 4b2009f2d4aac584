package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	tcexec "github.com/testcontainers/testcontainers-go/exec"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/bridge"
)

// Reach implements [harness.Servers].
func (s *stack) Reach(ctx context.Context, addr string) (string, error) {
	if s.bridge == nil {
		return "", errors.New("there is no Inngest container that could reach this machine")
	}
	if !s.backend.reached.Load() {
		if err := s.checkWay(ctx); err != nil {
			return "", err
		}
		s.backend.reached.Store(true)
	}
	return s.bridge.Reach(ctx, addr)
}

// checkWay has the Inngest container call a server of ours once. Without this check, a firewall between the two would show
// only in runs that never begin: an app registers itself, and the server does not call it for that.
func (s *stack) checkWay(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for a call of the Inngest container: %w", err)
	}
	var called atomic.Bool
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		called.Store(true)
		w.WriteHeader(http.StatusOK)
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	way := bridge.New(s.gateway)
	defer way.Close()
	reach, err := way.Reach(ctx, l.Addr().String())
	if err != nil {
		return err
	}

	inngest := s.inngest()
	if inngest.Err() != nil {
		return fmt.Errorf("%s is not running", harness.ServiceInngest)
	}
	host, port, err := net.SplitHostPort(reach)
	if err != nil {
		return err
	}
	// The server's own health check serves as the client.
	code, out, err := inngest.container.Exec(ctx, []string{
		"inngest", "alpha", "doctor", "healthcheck", "--host", host, "--port", port, "--timeout", "3s", "--skip-connect-gateway",
	}, tcexec.Multiplexed())
	if err != nil {
		return fmt.Errorf("have the Inngest container call this machine: %w", engine.Explain(err))
	}
	if code == 0 || called.Load() {
		return nil
	}
	said, err := io.ReadAll(out)
	if err != nil {
		return fmt.Errorf("read what the Inngest container says: %w", err)
	}
	if !strings.Contains(string(said), "dial") && !strings.Contains(string(said), "deadline") && !strings.Contains(string(said), "imeout") {
		return nil // an image whose program has no such command
	}
	return &engine.Error{
		What:   "Inngest, in its container, cannot reach this machine at " + reach,
		Detail: lastLine(string(said)),
		Do: []string{
			"let the firewall pass what comes from Docker's networks (ufw: sudo ufw allow from 172.16.0.0/12)", engine.Alternative,
		},
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}
