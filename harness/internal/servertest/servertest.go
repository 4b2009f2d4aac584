// Package servertest runs one real server for the tests of one package: those of the clients, which need a MailHog or an
// Inngest server and nothing around it.
//
//	func TestMain(m *testing.M) {
//		servertest.Main(m, func(ctx context.Context) (s *servertest.Server, err error) {
//			hog, err = servertest.MailHog(ctx)
//			return hog, err
//		})
//	}
package servertest

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// grace is how long a server may take to end by itself.
const grace = 3 * time.Second

// A Server is a running server. It keeps its addresses when it is stopped and run again.
type Server struct {
	URL  string // base URL of its HTTP API
	SMTP string // host:port; MailHog only

	spec  proc.Spec
	ready func(context.Context) error
	dir   string
	p     *proc.Process
}

// MailHog starts a MailHog with an empty inbox.
func MailHog(ctx context.Context) (*Server, error) {
	path, err := binary(ctx, toolchain.MailHog)
	if err != nil {
		return nil, err
	}
	ports, err := port.Free(2)
	if err != nil {
		return nil, err
	}
	web, smtp := addr(ports[0]), addr(ports[1])
	s := &Server{URL: "http://" + web, SMTP: smtp}
	s.ready = func(ctx context.Context) error { // it opens its two ports in no certain order
		if err := endpoint.MailHog(ctx, s.URL); err != nil {
			return err
		}
		return endpoint.SMTP(ctx, smtp)
	}
	return s, s.start(ctx, proc.Spec{
		Name: "mailhog", Path: path,
		Args: []string{"-api-bind-addr", web, "-ui-bind-addr", web, "-smtp-bind-addr", smtp},
	})
}

// Inngest starts an Inngest dev server that knows no apps, calls apps soon and retries after a second.
func Inngest(ctx context.Context) (*Server, error) {
	path, err := binary(ctx, toolchain.Inngest)
	if err != nil {
		return nil, err
	}
	ports, err := port.Free(4)
	if err != nil {
		return nil, err
	}
	flag := func(i int) string { return strconv.Itoa(ports[i]) }
	s := &Server{URL: "http://" + addr(ports[0])}
	api := inngestapi.New(s.URL, inngestapi.Options{})
	defer api.Close()
	s.ready = api.Ready
	return s, s.start(ctx, proc.Spec{
		Name: "inngest", Path: path,
		Args: []string{
			"dev", "--host", "127.0.0.1", "--no-discovery", "--no-poll", "--tick", "10", "--retry-interval", "1",
			"--port", flag(0), "--connect-gateway-port", flag(1), "--connect-gateway-grpc-port", flag(2),
			"--connect-executor-grpc-port", flag(3),
		},
	})
}

func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// start runs the server for the first time, in a folder and an environment of its own: Inngest reads both for settings.
func (s *Server) start(ctx context.Context, spec proc.Spec) (err error) {
	if s.dir, err = os.MkdirTemp("", "servertest-"+spec.Name+"-"); err != nil {
		return err
	}
	spec.Dir, spec.LogFile = s.dir, filepath.Join(s.dir, spec.Name+".log")
	spec.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "DO_NOT_TRACK=1", "TMPDIR=" + os.TempDir()}
	s.spec = spec
	if err := s.Run(ctx); err != nil {
		return errors.Join(err, s.Close(ctx))
	}
	return nil
}

// Run starts the server again after Stop or Kill, with nothing in it.
func (s *Server) Run(ctx context.Context) error {
	p, err := proc.Start(ctx, s.spec)
	if err != nil {
		return err
	}
	s.p = p
	return p.WaitReady(ctx, s.ready)
}

// Kill ends the server at once.
func (s *Server) Kill() error { return s.p.Kill() }

// Pause freezes the server, Resume lets it go on.
func (s *Server) Pause() error  { return s.p.Pause() }
func (s *Server) Resume() error { return s.p.Resume() }

// Close ends the server and removes its files.
func (s *Server) Close(ctx context.Context) error {
	var err error
	if s.p != nil {
		err = s.p.Stop(ctx, grace)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
