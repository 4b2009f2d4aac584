// Package upkeep is what the backends that start servers of their own have in common, whatever they start them in.
//
//	type server struct {
//		upkeep.State
//		…
//	}
//	err := srv.Start(harness.ServiceMongo, startOnce, onOtherPorts)
package upkeep

import (
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
)

// State is what a server is meant to be. The zero value is of one that has never been started. Its mutex is held while
// the server is started or ended, and guards the fields.
type State struct {
	sync.Mutex
	// Wanted says that it is meant to be up: an exit while it is not is no death.
	Wanted bool
	// Settled says that it has been up: from then on it keeps its ports.
	Settled bool
	// Freed says that its stack is closed.
	Freed bool
}

// attempts is how often a server is started on newly chosen ports when another program took one in between.
const attempts = 3

// Start has once start the server, unless it is up. Where that fails, other says whether to try again, having seen to it
// that the next try is on other ports. A server that has been up keeps its own.
func (s *State) Start(service harness.Service, once func() error, other func(error) (again bool, err error)) error {
	s.Lock()
	defer s.Unlock()
	if s.Freed {
		return fmt.Errorf("%s cannot be started: its stack is closed", service)
	}
	if s.Wanted {
		return nil
	}
	for tried := 1; ; tried++ {
		err := once()
		if err == nil {
			s.Wanted, s.Settled = true, true
			return nil
		}
		if s.Settled || tried == attempts {
			return err
		}
		if again, otherErr := other(err); otherErr != nil {
			return otherErr
		} else if !again {
			return err
		}
	}
}

// Mourn reports to died the exit of a server that was meant to be up, with why, once its life is done. current says
// whether that is still its life, and not one that was started since.
func (s *State) Mourn(done <-chan struct{}, current func() bool, why func() error, died chan<- error) {
	<-done
	s.Lock()
	defer s.Unlock()
	if !s.Wanted || !current() {
		return
	}
	s.Wanted = false
	select {
	case died <- why():
	default: // another one is mourned already
	}
}

// Ports returns the fixed ports, with a free one in the place of each that is zero.
func Ports(fixed []int) ([]int, error) {
	ports, err := port.Free(len(fixed))
	if err != nil {
		return nil, err
	}
	for i, p := range fixed {
		if p != 0 {
			ports[i] = p
		}
	}
	return ports, nil
}

// Endpoints returns where servers answer that listen on these ports of this machine: MailHog on two, its API's and
// SMTP. Without ports of Inngest's there is none.
func Endpoints(ports func(harness.Service) []int) harness.Endpoints {
	mailhog := ports(harness.ServiceMailHog)
	ends := harness.Endpoints{MailHog: URL(mailhog[0]), SMTP: Loopback(mailhog[1]), Mongo: MongoURI(ports(harness.ServiceMongo)[0])}
	if inngest := ports(harness.ServiceInngest); inngest != nil {
		ends.Inngest = URL(inngest[0])
	}
	return ends
}

// Loopback is a port's address on this machine.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// URL is the base URL of what serves HTTP on a port of this machine.
func URL(port int) string { return "http://" + Loopback(port) }

// MongoURI is the address of a database on a port of this machine.
func MongoURI(port int) string { return "mongodb://" + Loopback(port) + "/?directConnection=true" }

// Serialised makes progress, which may be nil, safe to call from several goroutines.
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
