// Package servertest runs real servers for the tests of one package: those of the clients, which need a mail catcher or an
// Inngest server and nothing around it.
//
//	func TestMain(m *testing.M) {
//		servertest.Main(m, func(ctx context.Context) (_ []*servertest.Server, err error) {
//			hog, err = servertest.MailHog(ctx)
//			return []*servertest.Server{hog}, err
//		})
//	}
package servertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

// A Server is a running server. It keeps its addresses when it is stopped and started again.
type Server struct {
	URL  string // base URL of its HTTP API
	SMTP string // host:port; of a mail catcher only

	service harness.Service
	servers harness.Servers
	dir     string
}

// MailHog starts a MailHog with an empty inbox.
func MailHog(ctx context.Context) (*Server, error) { return Mail(ctx, harness.MailHog) }

// Mail starts a mail catcher with an empty inbox.
func Mail(ctx context.Context, m harness.MailCatcher) (*Server, error) {
	return start(ctx, harness.ServiceMailHog, m)
}

// Inngest starts an Inngest dev server that knows no apps and retries after a second.
func Inngest(ctx context.Context) (*Server, error) { return start(ctx, harness.ServiceInngest, "") }

func start(ctx context.Context, service harness.Service, m harness.MailCatcher) (*Server, error) {
	dir, err := os.MkdirTemp("", "servertest-"+string(service)+"-")
	if err != nil {
		return nil, err
	}
	servers, err := local.New(local.Options{}).Start(ctx, harness.BackendOptions{
		Dir: dir, RetryInterval: time.Second, Services: []harness.Service{service}, MailCatcher: m, Progress: func(p harness.Progress) {
			if p.Doing != "ready" { // a build
				fmt.Fprintf(os.Stderr, "%s: %s (%s)\n", p.Subject, p.Doing, p.Elapsed.Round(time.Second))
			}
		},
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	ends := servers.Endpoints() // of this service only
	return &Server{URL: cmp.Or(ends.MailHog, ends.Inngest), SMTP: ends.SMTP, service: service, servers: servers, dir: dir}, nil
}

// Start starts the server again after Kill, with nothing in it.
func (s *Server) Start(ctx context.Context) error { return s.servers.Start(ctx, s.service) }

// Kill terminates the server immediately.
func (s *Server) Kill(ctx context.Context) error { return s.servers.Kill(ctx, s.service) }

// Close stops the server and removes its files.
func (s *Server) Close(ctx context.Context) error {
	return errors.Join(s.servers.Close(ctx), os.RemoveAll(s.dir))
}
