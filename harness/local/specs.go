package local

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/upkeep"
)

// spec says how one of the servers is run. Its functions get the ports in the order in which ports lists them.
type spec struct {
	service harness.Service
	tool    toolchain.Tool
	// ports lists the ports the server needs: the fixed number, or zero for any free one.
	ports func(harness.Ports) []int
	// command returns arguments and environment; dir is a directory of the server's own.
	command func(bin toolchain.Binary, ports []int, dir string, o harness.BackendOptions) command
	// probe returns nil once the server, this one and not another on its port, is usable.
	probe func(ctx context.Context, ports []int, dir string) error
}

type command struct{ args, env []string }

var specs = []spec{
	{
		service: harness.ServiceMongo,
		tool:    toolchain.Mongo,
		ports:   func(p harness.Ports) []int { return []int{p.Mongo} },
		command: mongoCommand,
		probe: func(ctx context.Context, ports []int, _ string) error {
			_, err := endpoint.Mongo(ctx, upkeep.MongoURI(ports[0]))
			return err
		},
	},
	{
		service: harness.ServiceMailHog,
		tool:    toolchain.MailHog,
		ports:   func(p harness.Ports) []int { return []int{p.MailHog, p.SMTP} },
		command: func(_ toolchain.Binary, ports []int, _ string, _ harness.BackendOptions) command {
			return command{args: []string{
				"-ui-bind-addr", upkeep.Loopback(ports[0]), "-api-bind-addr", upkeep.Loopback(ports[0]), "-smtp-bind-addr", upkeep.Loopback(ports[1]),
			}}
		},
		probe: func(ctx context.Context, ports []int, _ string) error {
			if err := endpoint.MailHog(ctx, upkeep.URL(ports[0])); err != nil {
				return err
			}
			return endpoint.SMTP(ctx, upkeep.Loopback(ports[1]))
		},
	},
	{
		service: harness.ServiceInngest,
		tool:    toolchain.Inngest,
		// The last three serve Connect, which nothing here uses; they are moved out of the way of other servers.
		ports:   func(p harness.Ports) []int { return []int{p.Inngest, 0, 0, 0} },
		command: inngestCommand,
		probe:   inngestProbe,
	},
}

func mongoCommand(bin toolchain.Binary, ports []int, dir string, _ harness.BackendOptions) command {
	if bin.Source == "MONGOD_BIN" {
		return command{args: []string{
			"--dbpath", dir, "--bind_ip", "127.0.0.1", "--port", strconv.Itoa(ports[0]), "--nounixsocket",
		}}
	}
	return command{args: []string{"-listen", upkeep.Loopback(ports[0]), "-dir", dir}}
}

// tick is how often, in milliseconds, the server looks at its queue. Its default of 150 is most of the time between
// event and email.
const tick = 10

func inngestCommand(_ toolchain.Binary, ports []int, dir string, o harness.BackendOptions) command {
	args := []string{
		"dev", "--host", "127.0.0.1", "--no-discovery", "--no-poll", "--tick", strconv.Itoa(tick),
		"--port", strconv.Itoa(ports[0]),
		"--connect-gateway-port", strconv.Itoa(ports[1]),
		"--connect-gateway-grpc-port", strconv.Itoa(ports[2]),
		"--connect-executor-grpc-port", strconv.Itoa(ports[3]),
		// It keeps nothing there; /dev repeats the name, which is how a probe knows this server from another.
		"--sqlite-dir", dir,
	}
	if o.RetryInterval > 0 {
		args = append(args, "--retry-interval", strconv.Itoa(int(o.RetryInterval.Seconds())))
	}
	return command{
		args: args,
		// An environment of its own: the command line also reads INNGEST_* variables, and DEBUG opens a port.
		env: []string{"DO_NOT_TRACK=1", "HOME=" + dir, "PATH=" + os.Getenv("PATH")},
	}
}

func inngestProbe(ctx context.Context, ports []int, dir string) error {
	theirs, err := endpoint.InngestDir(ctx, upkeep.URL(ports[0]))
	if err != nil {
		return err
	}
	if theirs != dir {
		return &movedError{ports[0]}
	}
	return nil
}

// movedError says that the Inngest server does not listen where it was told to.
type movedError struct{ port int }

func (e *movedError) Error() string {
	return fmt.Sprintf("port %d was taken by another program while Inngest started: start again, or let the harness choose with --ports free", e.port)
}

// inngestLog finds in the Inngest server's output what the server tells in no other way.
type inngestLog struct {
	port int

	mu         sync.Mutex
	moved      bool // it went to another port than it was given
	subscribed bool // it no longer loses the events that it takes
}

func (l *inngestLog) line(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case strings.Contains(line, "Port conflict, using new port") && strings.Contains(line, "dev server api"):
		l.moved = true
	case strings.Contains(line, "subscribing to events"):
		l.subscribed = true
	}
}

func (l *inngestLog) hasMoved() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moved
}

func (l *inngestLog) hasSubscribed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.subscribed
}
