package fleet

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// services are the servers of a stack, in the order in which they are described.
var services = []harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceRedis, harness.ServicePostgres, harness.ServiceInngest}

// production are the services that only a stack in production mode has.
var production = []harness.Service{harness.ServiceRedis, harness.ServicePostgres}

// Wanted returns the services that o asks the named backend to start, in the order mongo, mailhog, redis, postgres, inngest.
// A service that no backend starts is an error. Redis and PostgreSQL are started with a self-hosted Inngest server only.
func Wanted(backend string, o harness.BackendOptions) ([]harness.Service, error) {
	if o.MailCatcher != "" && !slices.Contains(harness.MailCatchers(), o.MailCatcher) {
		return nil, fmt.Errorf("there is no mail catcher %q: it is one of %v", o.MailCatcher, harness.MailCatchers())
	}
	known := slices.Clone(services)
	if o.Keys == (harness.Keys{}) {
		known = slices.DeleteFunc(known, func(s harness.Service) bool { return slices.Contains(production, s) })
	}
	for _, s := range o.Services {
		if !slices.Contains(known, s) {
			return nil, unknown(backend, s)
		}
	}
	if len(o.Services) == 0 {
		return known, nil
	}
	if o.Keys != (harness.Keys{}) && slices.Contains(o.Services, harness.ServiceInngest) {
		o.Services = slices.Concat(o.Services, production)
	}
	return slices.DeleteFunc(known, func(s harness.Service) bool { return !slices.Contains(o.Services, s) }), nil
}

func unknown(backend string, s harness.Service) error {
	return fmt.Errorf("the %s backend runs no service %q", backend, s)
}

// Program is the name of a service's program, on a stack with this mail catcher: that of the service but for a mail catcher.
func Program(s harness.Service, m harness.MailCatcher) string {
	if s == harness.ServiceMailHog {
		return string(cmp.Or(m, harness.MailHog))
	}
	return string(s)
}

// Ports returns the ports that a user asks for a service, zero for any free one.
func Ports(s harness.Service, p harness.Ports) []int {
	switch s {
	case harness.ServiceMongo:
		return []int{p.Mongo}
	case harness.ServiceMailHog:
		return []int{p.MailHog, p.SMTP}
	case harness.ServiceInngest:
		return []int{p.Inngest}
	default:
		return []int{0}
	}
}

// tick is the interval, in milliseconds, at which the Inngest server polls its queue. With its default of 150 an event waits
// longer for its function than the function takes; with 10 an idle server uses 6 % of a processor, with 25 it uses 3 %.
const tick = 25

// InngestArgs returns the arguments of an Inngest server that listens on host: of the dev server, or with keys of the
// self-hosted one.
func InngestArgs(host string, o harness.BackendOptions) []string {
	args := []string{"dev", "--no-discovery", "--no-poll"}
	if o.Keys != (harness.Keys{}) {
		args = []string{"start"}
	}
	args = append(args, "--host", host, "--tick", strconv.Itoa(tick))
	if o.RetryInterval > 0 {
		args = append(args, "--retry-interval", strconv.Itoa(int(o.RetryInterval/time.Second)))
	}
	return args
}

// MailpitArgs returns the arguments by which a Mailpit keeps all that it gets, as MailHog does, takes any credentials over an
// unencrypted connection, and asks no server for anything.
func MailpitArgs() []string {
	return []string{
		"--max", "0", "--max-message-size", "0", "--smtp-max-recipients", strconv.Itoa(math.MaxInt32), "--smtp-auth-accept-any",
		"--smtp-auth-allow-insecure", "--smtp-disable-rdns", "--disable-version-check",
	}
}

// Loopback returns the address of a port on this machine.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// URL returns the base URL of an HTTP server on a port of this machine.
func URL(port int) string { return "http://" + Loopback(port) }

// ReplicaSet is the name of the replica set that MongoDB runs as on request. Its only member is known by its address on this
// machine.
const ReplicaSet = "rs0"

// MongodArgs returns the arguments of a mongod that listens on a port, as a member of the replica set on request.
func MongodArgs(host string, port int, o harness.BackendOptions) []string {
	args := []string{"--bind_ip", host, "--port", strconv.Itoa(port)}
	if o.ReplicaSet {
		args = append(args, "--replSet", ReplicaSet)
	}
	return args
}

// MongoURI returns the URI of a database on a port of this machine.
func MongoURI(port int, replicaSet bool) string {
	if replicaSet {
		return "mongodb://" + Loopback(port) + "/?replicaSet=" + ReplicaSet
	}
	return "mongodb://" + Loopback(port) + "/?directConnection=true"
}

// NoReplicaSet is the error of a request for a replica set where the stand-in for MongoDB, or another database, would run.
func NoReplicaSet(what string) error {
	return fmt.Errorf("run MongoDB as a replica set: %s: %w: set MONGOD_BIN to a mongod, or use the containers backend with the official image",
		what, harness.ErrUnsupported)
}

// Serialised makes progress, which may be nil, safe for concurrent use.
func Serialised(progress func(harness.Progress)) func(harness.Progress) {
	if progress == nil {
		return func(harness.Progress) {}
	}
	var mu sync.Mutex
	return func(p harness.Progress) {
		mu.Lock()
		defer mu.Unlock()
		progress(p)
	}
}
