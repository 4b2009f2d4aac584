package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// persistence is Redis and PostgreSQL of a stack in production mode.
type persistence struct {
	password string // of both
	// PostgreSQL does not run as root. It then runs as user, with its data in dir, which that user may reach.
	user, dir string

	redisPort, postgresPort atomic.Int64
	initialized             bool // PostgreSQL's data directory is complete
}

// newPersistence returns the zero persistence for a stack that has no keys.
func newPersistence(keys harness.Keys) (*persistence, error) {
	p := &persistence{}
	if keys == (harness.Keys{}) {
		return p, nil
	}
	p.password = rand.Text()
	if os.Getuid() != 0 {
		return p, nil
	}
	p.user = "postgres"
	account, err := user.Lookup(p.user)
	if err != nil {
		p.user = "nobody"
		account, err = user.Lookup(p.user)
	}
	if err != nil {
		return nil, fmt.Errorf("find a user for PostgreSQL, which does not run as root: %w", err)
	}
	if p.dir, err = os.MkdirTemp("", "harness-postgres-"); err != nil {
		return nil, fmt.Errorf("make a directory for PostgreSQL: %w", err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	if err := os.Chown(p.dir, uid, gid); err != nil {
		return nil, errors.Join(fmt.Errorf("give the user %s the directory of PostgreSQL: %w", p.user, err), p.remove())
	}
	return p, nil
}

// remove removes the data that does not stand in the stack's directory.
func (p *persistence) remove() error {
	if p.dir == "" {
		return nil
	}
	return os.RemoveAll(p.dir)
}

// redis completes the start of Redis. It writes every change to its file (AOF), so that a kill loses nothing.
func (p *persistence) redis(s *proc.Spec, port int) error {
	if p.redisPort.Swap(int64(port)) == 0 { // the directory may be that of an earlier stack
		if err := os.RemoveAll(filepath.Join(s.Dir, "appendonlydir")); err != nil {
			return fmt.Errorf("remove the data of an earlier Redis: %w", err)
		}
	}
	config := filepath.Join(s.Dir, "redis.conf") // the password would be visible in arguments
	text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %q\nappendonly yes\nappendfsync everysec\nsave \"\"\nrequirepass %s\n",
		port, s.Dir, p.password)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure Redis: %w", err)
	}
	s.Args, s.Env = []string{config}, serverEnviron()
	return nil
}

// postgres completes the start of PostgreSQL, and makes its data directory where there is none.
func (p *persistence) postgres(ctx context.Context, s *proc.Spec, port int) error {
	p.postgresPort.Store(int64(port))
	s.User, s.Env = p.user, serverEnviron()
	data := filepath.Join(s.Dir, "data")
	s.Args = []string{
		"-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "dynamic_shared_memory_type=mmap", // which a kill leaves in the data directory
	}
	if p.initialized {
		return nil
	}
	if err := os.RemoveAll(data); err != nil { // of a start that was cancelled, or of an earlier stack
		return fmt.Errorf("remove the data of an earlier PostgreSQL: %w", err)
	}
	err := p.initdb(ctx, *s, data)
	p.initialized = err == nil
	return err
}

// initdb makes PostgreSQL's data directory.
func (p *persistence) initdb(ctx context.Context, s proc.Spec, data string) error {
	password := filepath.Join(s.Dir, "password")
	if err := os.WriteFile(password, []byte(p.password), 0o644); err != nil { // its directory is private
		return fmt.Errorf("make a password for PostgreSQL: %w", err)
	}
	s.Name, s.Path, s.OnLine = "initdb", filepath.Join(filepath.Dir(s.Path), "initdb"), nil
	s.Args = []string{
		"-D", data, "--no-sync", "--locale=C", "--encoding=UTF8", "--username=inngest", "--auth=scram-sha-256", "--pwfile=" + password,
	}
	process, err := proc.Start(ctx, s)
	if err != nil {
		return err
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), process.Stop(context.WithoutCancel(ctx), 0))
	}
	if exit := (*proc.ExitError)(nil); errors.As(process.Err(), &exit) && exit.Code != 0 {
		return fmt.Errorf("make the data directory of PostgreSQL: %w", exit)
	}
	return nil
}

// environ returns the variables of the Inngest server: its keys, and where it keeps its state. Other users of the machine
// could read arguments.
func (p *persistence) environ(keys harness.Keys) []string {
	return []string{
		"INNGEST_EVENT_KEY=" + keys.Event,
		"INNGEST_SIGNING_KEY=" + keys.Signing,
		fmt.Sprintf("INNGEST_REDIS_URI=redis://:%s@%s", p.password, fleet.Loopback(int(p.redisPort.Load()))),
		fmt.Sprintf("INNGEST_POSTGRES_URI=postgres://inngest:%s@%s/postgres?sslmode=disable",
			p.password, fleet.Loopback(int(p.postgresPort.Load()))),
	}
}

// serverEnviron is the environment of Redis and PostgreSQL: both also read variables that a user may have set for a client.
func serverEnviron() []string { return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"} }
