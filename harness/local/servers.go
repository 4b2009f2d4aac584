package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/upkeep"
)

// grace is how long a server may take to end by itself before it is killed.
const grace = 1500 * time.Millisecond

// servers are the processes of one stack.
type servers struct {
	timeout time.Duration
	tell    func(harness.Progress)
	all     map[harness.Service]*server
	died    chan error
	closing sync.Once
	closed  error
}

// server is one of them. Its process changes when it is run again; its ports do not.
type server struct {
	spec    spec
	options harness.BackendOptions
	servers *servers
	bin     toolchain.Binary

	upkeep.State
	ports   []int
	process *proc.Process
}

// subscribeTime bounds the wait for the Inngest server's word that it has subscribed to its own events, which it does
// some 100 ms after it has begun to take and lose them. A build that does not print it, and one that is slow, is asked.
const subscribeTime = 3 * time.Second

func (srv *server) start(ctx context.Context) error {
	return srv.Start(srv.spec.service, func() error { return srv.startOnce(ctx) }, func(err error) (bool, error) {
		if !srv.robbed(err) {
			return false, nil
		}
		srv.ports = nil // for others to be chosen
		return true, nil
	})
}

// robbed says whether a start that failed is worth another try on other ports: the process has ended by itself, or gone
// to another port, and the harness had chosen one that somebody may have taken meanwhile. Whoever it was may have let
// go of it since: an outgoing connection, too, holds a port for a moment.
func (srv *server) robbed(err error) bool {
	fixed := srv.spec.ports(srv.options.Ports)
	if errors.As(err, new(*movedError)) {
		return fixed[0] == 0
	}
	return slices.Contains(fixed, 0) && errors.As(err, new(*proc.ExitError))
}

func (srv *server) startOnce(ctx context.Context) error {
	dir, err := srv.dir()
	if err != nil {
		return err
	}
	if srv.ports == nil {
		if srv.ports, err = upkeep.Ports(srv.spec.ports(srv.options.Ports)); err != nil {
			return err
		}
	}
	began := time.Now()
	ports := srv.ports // a look that is under way when the server ends outlives this start
	cmd := srv.spec.command(srv.bin, ports, dir, srv.options)
	log := &inngestLog{port: ports[0]} // of the others it looks for what they do not print
	p, err := proc.Start(ctx, proc.Spec{
		Name:    string(srv.spec.service),
		Path:    srv.bin.Path,
		Args:    cmd.args,
		Env:     cmd.env,
		Dir:     dir,
		LogFile: srv.logFile(),
		OnLine:  log.line,
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", srv.spec.service, err)
	}
	srv.process = p

	ctx, cancel := context.WithTimeout(ctx, srv.servers.timeout)
	defer cancel()
	err = p.WaitReady(ctx, func(ctx context.Context) error {
		if log.hasMoved() {
			return nil // no need to wait for an answer that will not come: told apart below
		}
		if err := srv.spec.probe(ctx, ports, dir); err != nil {
			return err
		}
		if srv.spec.service != harness.ServiceInngest || log.hasSubscribed() {
			return nil
		}
		if time.Since(began) < subscribeTime {
			return errors.New("it answers, but would still lose the events that it takes")
		}
		return endpoint.InngestTakesEvents(ctx, upkeep.URL(ports[0]))
	})
	if err == nil && log.hasMoved() {
		err = &movedError{log.port}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s did not come up: %w", srv.spec.service, err), p.Stop(context.WithoutCancel(ctx), 0))
	}
	go srv.Mourn(p.Done(), func() bool { return srv.process == p }, p.Err, srv.servers.died)
	srv.servers.tell(harness.Progress{Subject: string(srv.spec.service), Doing: "ready", Elapsed: time.Since(began), Done: true})
	return nil
}

// end takes the process down: in order, or at once with a grace of zero.
func (srv *server) end(ctx context.Context, grace time.Duration) error {
	srv.Lock()
	defer srv.Unlock()
	srv.Wanted = false
	if srv.process == nil {
		return nil
	}
	return errors.Join(srv.process.Stop(ctx, grace), srv.redactLog())
}

// redactLog takes from MailHog's log how apps have logged in, which it writes whole. It comes after MailHog has ended: a
// filter between it and its log makes it too slow.
func (srv *server) redactLog() error {
	if srv.spec.service != harness.ServiceMailHog {
		return nil
	}
	err := rewrite(srv.logFile(), (*secret.Set)(nil).Lines())
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // the stack's directory is its owner's
		return fmt.Errorf("take logins out of MailHog's log, which still has them: %w", err)
	}
	return nil
}

// rewrite replaces a file by one whose lines have gone through redact.
func rewrite(name string, redact func(line string) string) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()                                                     // again, where it comes to that
	to, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // for its owner alone, as the log is
	if err != nil {
		return err
	}
	err = errors.Join(secret.Copy(to, from, redact), to.Close(), from.Close())
	if err == nil {
		err = os.Rename(to.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(to.Name()))
	}
	return nil
}

func (srv *server) logFile() string {
	return filepath.Join(srv.options.Dir, string(srv.spec.service)+".log")
}

// of returns the server by its name, or an error for one that this backend does not run.
func (s *servers) of(name harness.Service) (*server, error) {
	if srv, ok := s.all[name]; ok {
		return srv, nil
	}
	return nil, fmt.Errorf("the local backend runs no service %q", name)
}

func (s *servers) running(name harness.Service) (*proc.Process, error) {
	srv, err := s.of(name)
	if err != nil {
		return nil, err
	}
	srv.Lock()
	defer srv.Unlock()
	if !srv.Wanted {
		return nil, fmt.Errorf("%s is not running", name)
	}
	return srv.process, nil
}

// Endpoints implements [harness.Servers].
func (s *servers) Endpoints() harness.Endpoints {
	return upkeep.Endpoints(func(name harness.Service) []int {
		if srv, ok := s.all[name]; ok {
			return srv.ports
		}
		return nil
	})
}

// Describe implements [harness.Servers].
func (s *servers) Describe() []harness.ServerInfo {
	var infos []harness.ServerInfo
	for _, name := range []harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceInngest} {
		srv, ok := s.all[name]
		if !ok {
			continue
		}
		version := srv.bin.Version
		if srv.bin.Database != "" {
			version = srv.bin.Database
		}
		infos = append(infos, harness.ServerInfo{
			Service: name, Version: version, Source: srv.bin.Source, HasUI: srv.bin.HasUI, LogFile: srv.logFile(),
		})
	}
	return infos
}

// Reach implements [harness.Servers]: on one machine an address is an address.
func (s *servers) Reach(_ context.Context, addr string) (string, error) { return addr, nil }

// Stop implements [harness.Servers].
func (s *servers) Stop(ctx context.Context, name harness.Service) error {
	return s.end(ctx, name, grace)
}

// Kill implements [harness.Servers].
func (s *servers) Kill(ctx context.Context, name harness.Service) error { return s.end(ctx, name, 0) }

func (s *servers) end(ctx context.Context, name harness.Service, grace time.Duration) error {
	srv, err := s.of(name)
	if err != nil {
		return err
	}
	return srv.end(ctx, grace)
}

// Run implements [harness.Servers].
func (s *servers) Run(ctx context.Context, name harness.Service) error {
	srv, err := s.of(name)
	if err != nil {
		return err
	}
	return srv.start(ctx)
}

// Pause implements [harness.Servers].
func (s *servers) Pause(_ context.Context, name harness.Service) error {
	p, err := s.running(name)
	if err != nil {
		return err
	}
	return p.Pause()
}

// Resume implements [harness.Servers].
func (s *servers) Resume(_ context.Context, name harness.Service) error {
	p, err := s.running(name)
	if err != nil {
		return err
	}
	return p.Resume()
}

// Tail implements [harness.Servers].
func (s *servers) Tail(name harness.Service) []string {
	srv, err := s.of(name)
	if err != nil {
		return nil
	}
	srv.Lock()
	defer srv.Unlock()
	if srv.process == nil {
		return nil
	}
	return srv.process.Tail()
}

// Died implements [harness.Servers].
func (s *servers) Died() <-chan error { return s.died }

// Close implements [harness.Servers].
func (s *servers) Close(ctx context.Context) error {
	s.closing.Do(func() {
		var g errgroup.Group
		for _, srv := range s.all {
			g.Go(func() error {
				srv.Lock()
				srv.Freed = true // first, so that nobody starts it again behind its end
				srv.Unlock()
				return srv.end(ctx, grace)
			})
		}
		s.closed = g.Wait()
	})
	return s.closed
}
