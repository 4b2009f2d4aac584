// Package port chooses free ports and says who holds one that is not free.
//
//	ports, err := port.Free(2)          // two different ones
//	err := port.Check(8288, "Inngest")  // *port.TakenError when something listens there
package port

import (
	"fmt"
	"net"
	"strconv"
)

// Free returns n different ports that were free on the loopback interface a moment ago. Another program may take one
// before it is used: whoever starts a server on it has to be ready to ask again.
func Free(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		// The listeners stay open until all ports are chosen, which is what keeps the ports different.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// A TakenError says that a port is in use, and by whom where the system tells.
type TakenError struct {
	Port   int
	For    string // what wanted it
	Holder string // "mongod (process 4711)", or empty
}

func (e *TakenError) Error() string {
	by := "another program"
	if e.Holder != "" {
		by = e.Holder
	}
	return fmt.Sprintf("port %d, wanted for %s, is in use by %s: end that program, or let the harness choose with --ports free",
		e.Port, e.For, by)
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
