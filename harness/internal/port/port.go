// Package port chooses free ports, different ones in each process of the harness, and names the process that holds one that is
// not free.
//
//	ports, err := port.Free(2)          // two different ones
//	err := port.Check(8288, "Inngest")  // *port.TakenError when something listens there
package port

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A TakenError says that a port is in use, and by which process if that is known.
type TakenError struct {
	Port   int
	For    string // what it is needed for
	Holder string // "mongod (process 4711)", or empty
}

func (e *TakenError) Error() string {
	return e.fact() + ": end that program, or " + remedy
}

// remedy is the alternative to ending the program that holds a port.
const remedy = "let the harness choose with --ports free"

func (e *TakenError) fact() string {
	return fmt.Sprintf("port %d, wanted for %s, is in use by %s", e.Port, e.For, cmp.Or(e.Holder, "another program"))
}

// takenErrors are several, with the remedy once.
type takenErrors []*TakenError

func (all takenErrors) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d ports are in use:", len(all))
	for _, e := range all {
		text.WriteString("\n  " + e.fact())
	}
	return text.String() + "\nend these programs, or " + remedy
}

func (all takenErrors) Unwrap() []error {
	errs := make([]error, len(all))
	for i, e := range all {
		errs[i] = e
	}
	return errs
}

// A Wish is a port to listen on, and what it is needed for, in a user's words. Port zero is any free one.
type Wish struct {
	Port int
	For  string
}

// OfServers returns the wishes of the servers of a stack with this mail catcher.
func OfServers(p harness.Ports, m harness.MailCatcher) []Wish {
	return []Wish{{p.Inngest, "Inngest"}, {p.MailHog, m.Title() + "'s page"}, {p.SMTP, m.Title() + "'s SMTP"}, {p.Mongo, "MongoDB"}}
}

// CheckAll is Check for several ports. Its error names all that are taken; each is a [TakenError].
func CheckAll(wishes ...Wish) error {
	var taken takenErrors
	for _, w := range wishes {
		if e := (*TakenError)(nil); w.Port != 0 && errors.As(Check(w.Port, w.For), &e) {
			taken = append(taken, e)
		}
	}
	switch len(taken) {
	case 0:
		return nil
	case 1:
		return taken[0]
	default:
		return taken
	}
}

// Check returns a [TakenError] when a program listens on the port, on the loopback interface or on all of them.
func Check(port int, purpose string) error {
	l, err := listen(port)
	if err != nil {
		return &TakenError{Port: port, For: purpose, Holder: holder(port)}
	}
	l.Close()
	// On some systems a listener on all interfaces does not prevent one on loopback, but a connection finds it. This
	// process does not listen any more.
	c, err := net.Dial("tcp", l.Addr().String())
	if err == nil {
		c.Close()
		return &TakenError{Port: port, For: purpose, Holder: holder(port)}
	}
	return nil
}
