package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

// unit is one server, run as a process.
type unit struct {
	service harness.Service
	bin     toolchain.Binary
	o       harness.BackendOptions
	state   *persistence
	page    string // the directory of Inngest's page, for a server that was built without one; it may be made later
}

// Ports implements [fleet.Unit].
func (u *unit) Ports() []int {
	ports := fleet.Ports(u.service, u.o.Ports)
	if u.service == harness.ServiceInngest {
		ports = append(ports, 0, 0, 0) // for Connect: chosen, so that they do not collide with another server's
	}
	return ports
}

// PortTaken implements [fleet.Unit]. A process that ended may have found its port taken, even if nothing holds it now: an
// outgoing connection, too, holds a port for a moment.
func (u *unit) PortTaken(err error) bool {
	if errors.As(err, new(*fleet.MovedError)) {
		return u.o.Ports.Inngest == 0
	}
	return slices.Contains(u.Ports(), 0) && errors.As(err, new(*proc.ExitError))
}

// Info implements [fleet.Unit].
func (u *unit) Info() harness.ServerInfo {
	info := harness.ServerInfo{
		Service: u.service, Version: cmp.Or(u.bin.Database, u.bin.Version), Source: u.bin.Source, LogFile: u.logFile(),
		HasUI: u.bin.HasUI || u.page != "" && toolchain.HasPage(u.page),
	}
	if u.service == harness.ServiceMailHog {
		info.MailCatcher = cmp.Or(u.o.MailCatcher, harness.MailHog)
	}
	return info
}

func (u *unit) logFile() string { return filepath.Join(u.o.Dir, string(u.service)+".log") }

// Begin implements [fleet.Unit].
func (u *unit) Begin(ctx context.Context, ports []int) (fleet.Instance, error) {
	dir := filepath.Join(u.o.Dir, string(u.service))
	if u.service == harness.ServicePostgres && u.state.user != "" {
		dir = u.state.dir
	}
	if u.bin.Tool == toolchain.Mailpit { // it would keep its emails over a restart
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("remove the emails of an earlier Mailpit: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for %s's data: %w", u.service, err)
	}
	probe := &fleet.Probe{
		Service: u.service, Ports: ports, MailCatcher: u.o.MailCatcher, Keys: u.o.Keys, Password: u.state.password, ReplicaSet: u.o.ReplicaSet,
	}
	if u.service == harness.ServiceInngest {
		probe.Dir = dir
	}
	spec := proc.Spec{Name: fleet.Program(u.service, u.o.MailCatcher), Path: u.bin.Path, Dir: dir, LogFile: u.logFile(), OnLine: probe.Line}
	switch u.service {
	case harness.ServiceRedis:
		if err := u.state.redis(&spec, ports[0]); err != nil {
			return nil, err
		}
	case harness.ServicePostgres:
		if err := u.state.postgres(ctx, &spec, ports[0]); err != nil {
			return nil, err
		}
	default:
		spec.Args, spec.Env = u.command(ports, dir)
		spec.Env = append(spec.Env, collector()...)
	}
	if u.bin.Tool != harness.ServiceMailHog { // see End
		spec.Redact = secrets().Lines()
	}
	p, err := proc.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &instance{p, probe}, nil
}

// command returns arguments and environment of the server's program.
func (u *unit) command(ports []int, dir string) (args, env []string) {
	switch {
	case u.bin.Tool == toolchain.Mailpit:
		// In its working directory: Mailpit makes a URI of the path, in which a # or ? would end it.
		args = append(fleet.MailpitArgs(), "--listen", fleet.Loopback(ports[0]), "--smtp", fleet.Loopback(ports[1]), "--database", "mailpit.db")
		return args, []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")} // it also reads variables MP_…
	case u.service == harness.ServiceMailHog:
		web := fleet.Loopback(ports[0])
		return []string{"-ui-bind-addr", web, "-api-bind-addr", web, "-smtp-bind-addr", fleet.Loopback(ports[1])}, nil
	case u.service == harness.ServiceInngest && u.o.Keys != (harness.Keys{}):
		args = append(fleet.InngestArgs("127.0.0.1", u.o), portArgs(ports)...)
		return args, append(u.state.environ(u.o.Keys), u.inngestEnviron(dir)...)
	case u.service == harness.ServiceInngest:
		args = append(fleet.InngestArgs("127.0.0.1", u.o), portArgs(ports)...)
		// It stores nothing there; /dev repeats the name, by which the probe recognises this server.
		return append(args, "--sqlite-dir", dir), u.inngestEnviron(dir)
	case u.bin.Source == mongodVariable:
		return append(fleet.MongodArgs("127.0.0.1", ports[0], u.o), "--dbpath", dir, "--nounixsocket"), nil
	default:
		return []string{"-listen", fleet.Loopback(ports[0]), "-dir", dir}, nil
	}
}

// portArgs returns the arguments that name the ports of an Inngest server, also those of Connect.
func portArgs(ports []int) []string {
	return []string{
		"--port", strconv.Itoa(ports[0]),
		"--connect-gateway-port", strconv.Itoa(ports[1]),
		"--connect-gateway-grpc-port", strconv.Itoa(ports[2]),
		"--connect-executor-grpc-port", strconv.Itoa(ports[3]),
	}
}

// inngestEnviron returns an environment of the Inngest server's own: the command line also reads INNGEST_* variables, and
// DEBUG opens a port.
func (u *unit) inngestEnviron(dir string) []string {
	return []string{
		"DO_NOT_TRACK=1", "HOME=" + dir, "PATH=" + os.Getenv("PATH"), toolchain.ConnectHost + "=127.0.0.1", toolchain.PageDir + "=" + u.page,
	}
}

// collector returns the variable GOGC of this process, if it has one: servers written in Go trade memory for time by it, too.
func collector() []string {
	if v, ok := os.LookupEnv("GOGC"); ok {
		return []string{"GOGC=" + v}
	}
	return nil
}

// instance is a server's process.
type instance struct {
	*proc.Process
	*fleet.Probe
}

// Pause implements [fleet.Instance].
func (i *instance) Pause(context.Context) error { return i.Process.Pause() }

// Resume implements [fleet.Instance].
func (i *instance) Resume(context.Context) error { return i.Process.Resume() }

// End implements [fleet.Instance]. MailHog writes the logins and emails of apps to its log; secrets are removed from it once it
// has ended, since a filter between it and its log would make it too slow.
func (i *instance) End(ctx context.Context, grace time.Duration) error {
	err := i.Stop(ctx, grace)
	if i.Service == harness.ServiceMailHog && i.MailCatcher != harness.Mailpit {
		if redactErr := rewrite(i.LogFile(), secrets().Lines()); redactErr != nil && !errors.Is(redactErr, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("remove secrets from MailHog's log, which still has them: %w", redactErr))
		}
	}
	return err
}

// secrets are those of this process's environment, which an app's emails and events may contain.
func secrets() *secret.Set { return secret.New(secret.Values(os.Environ(), harness.DevEventKey)) }

// rewrite replaces a file by one whose lines have gone through redact.
func rewrite(name string, redact func(line string) string) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // readable by its owner only, as the log is
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
