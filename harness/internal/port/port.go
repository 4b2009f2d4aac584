// Package port chooses free ports, no two processes of the harness the same, and says who holds one that is not free.
//
//	ports, err := port.Free(2)          // two different ones, given to nobody else
//	err := port.Check(8288, "Inngest")  // *port.TakenError when something listens there
package port

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// A TakenError says that a port is in use, and by whom where the system tells.
type TakenError struct {
	Port   int
	For    string // what wanted it
	Holder string // "mongod (process 4711)", or empty
}

func (e *TakenError) Error() string {
	return e.fact() + ": end that program, or " + wayOut
}

// wayOut is what a user does who wants to keep what holds a port.
const wayOut = "let the harness choose with --ports free"

func (e *TakenError) fact() string {
	by := "another program"
	if e.Holder != "" {
		by = e.Holder
	}
	return fmt.Sprintf("port %d, wanted for %s, is in use by %s", e.Port, e.For, by)
}

// takenErrors are several, with the way out said once.
type takenErrors []*TakenError

func (all takenErrors) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d ports are in use:", len(all))
	for _, e := range all {
		text.WriteString("\n  " + e.fact())
	}
	return text.String() + "\nend these programs, or " + wayOut
}

func (all takenErrors) Unwrap() []error {
	errs := make([]error, len(all))
	for i, e := range all {
		errs[i] = e
	}
	return errs
}

// A Wish is a port that somebody wants to listen on, and what for, as a person would say it. Port zero is any free one.
type Wish struct {
	Port int
	For  string
}

// OfServers are the wishes of a stack's servers.
func OfServers(inngest, mailhog, smtp, mongo int) []Wish {
	return []Wish{{inngest, "Inngest"}, {mailhog, "MailHog's page"}, {smtp, "MailHog's SMTP"}, {mongo, "MongoDB"}}
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
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return &TakenError{Port: port, For: purpose, Holder: holder(port)}
	}
	l.Close()
	// A listener on all interfaces does not stop one on loopback everywhere; a connection tells. Nothing of ours
	// listens now, so whoever answers is another program.
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		c.Close()
		return &TakenError{Port: port, For: purpose, Holder: holder(port)}
	}
	return nil
}
