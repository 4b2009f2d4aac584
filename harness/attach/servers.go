package attach

import (
	"context"
	"fmt"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/bridge"
)

// servers were running before and stay up.
type servers struct {
	target
	kinds
	hasPage bool // Inngest has its web page
	secrets []string
	bridge  *bridge.Bridge // nil where Inngest runs in no container of this machine
}

// Endpoints implements [harness.Servers].
func (s *servers) Endpoints() harness.Endpoints { return s.ends }

// HostedApp implements [harness.AppHost].
func (s *servers) HostedApp() (harness.Env, bool) {
	if s.app == nil {
		return harness.Env{}, false
	}
	return *s.app, true
}

// Secrets are the values that the program which keeps the servers up masks.
func (s *servers) Secrets() []string { return s.secrets }

// Describe implements [harness.Servers].
func (s *servers) Describe() []harness.ServerInfo {
	mailbox := "mailbox"
	if s.mail != "" {
		mailbox = s.mail.Title()
	}
	all := []harness.ServerInfo{
		{Service: harness.ServiceMongo, Version: s.database.String(), Source: "attached"},
		{Service: harness.ServiceMailHog, Version: mailbox + " " + s.source, Source: "attached", HasUI: s.mailPage, MailCatcher: s.mail},
		{Service: harness.ServiceInngest, Version: "Inngest " + s.source, Source: "attached", HasUI: s.hasPage},
	}
	address := map[harness.Service]string{
		harness.ServiceMongo: s.ends.Mongo, harness.ServiceMailHog: s.ends.MailHog, harness.ServiceInngest: s.ends.Inngest,
	}
	return slices.DeleteFunc(all, func(i harness.ServerInfo) bool { return address[i.Service] == "" })
}

// Reach implements [harness.Servers].
func (s *servers) Reach(ctx context.Context, addr string) (string, error) {
	if s.bridge == nil {
		return addr, nil
	}
	return s.bridge.Reach(ctx, addr)
}

// Stop implements [harness.Servers]: it is not supported.
func (s *servers) Stop(_ context.Context, name harness.Service) error { return s.refuse("stop", name) }

// Kill implements [harness.Servers]: it is not supported.
func (s *servers) Kill(_ context.Context, name harness.Service) error { return s.refuse("kill", name) }

// Start implements [harness.Servers]: it is not supported.
func (s *servers) Start(_ context.Context, name harness.Service) error {
	return s.refuse("start", name)
}

// Pause implements [harness.Servers]: it is not supported.
func (s *servers) Pause(_ context.Context, name harness.Service) error {
	return s.refuse("pause", name)
}

// Resume implements [harness.Servers]: it is not supported.
func (s *servers) Resume(_ context.Context, name harness.Service) error {
	return s.refuse("resume", name)
}

func (s *servers) refuse(what string, name harness.Service) error {
	return fmt.Errorf("%s %s: %w: the server is %s, and attached servers are left as they are; use the local or the containers backend for this",
		what, name, harness.ErrUnsupported, s.source)
}

// Tail implements [harness.Servers]: the logs are where the servers were started.
func (*servers) Tail(harness.Service) []string { return nil }

// Done implements [harness.Servers]. The exit of an attached server is not noticed: it is never closed.
func (*servers) Done() <-chan struct{} { return nil }

// Err implements [harness.Servers].
func (*servers) Err() error { return nil }

// Close implements [harness.Servers]. The servers stay up.
func (s *servers) Close(context.Context) error {
	if s.bridge != nil {
		s.bridge.Close()
	}
	return nil
}
