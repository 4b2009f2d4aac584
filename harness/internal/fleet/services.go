package fleet

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// services are the servers of a stack, in the order in which they are described.
var services = []harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceInngest}

// Wanted returns the services that o asks the named backend to start, in the order mongo, mailhog, inngest. A service that
// no backend starts is an error.
func Wanted(backend string, o harness.BackendOptions) ([]harness.Service, error) {
	if len(o.Services) == 0 {
		return slices.Clone(services), nil
	}
	for _, s := range o.Services {
		if !slices.Contains(services, s) {
			return nil, unknown(backend, s)
		}
	}
	return slices.DeleteFunc(slices.Clone(services), func(s harness.Service) bool { return !slices.Contains(o.Services, s) }), nil
}

func unknown(backend string, s harness.Service) error {
	return fmt.Errorf("the %s backend runs no service %q", backend, s)
}

// Ports returns the ports that a user asks for a service, zero for any free one.
func Ports(s harness.Service, p harness.Ports) []int {
	switch s {
	case harness.ServiceMongo:
		return []int{p.Mongo}
	case harness.ServiceMailHog:
		return []int{p.MailHog, p.SMTP}
	default:
		return []int{p.Inngest}
	}
}

// tick is how often, in milliseconds, the Inngest server polls its queue. With its default of 150 an event waits longer
// for its function than the function takes.
const tick = 10

// InngestArgs returns the arguments of an Inngest dev server that listens on host.
func InngestArgs(host string, o harness.BackendOptions) []string {
	args := []string{"dev", "--host", host, "--no-discovery", "--no-poll", "--tick", strconv.Itoa(tick)}
	if o.RetryInterval > 0 {
		args = append(args, "--retry-interval", strconv.Itoa(int(o.RetryInterval/time.Second)))
	}
	return args
}

// Loopback returns the address of a port on this machine.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// URL returns the base URL of an HTTP server on a port of this machine.
func URL(port int) string { return "http://" + Loopback(port) }

// MongoURI returns the URI of a database on a port of this machine.
func MongoURI(port int) string { return "mongodb://" + Loopback(port) + "/?directConnection=true" }

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
