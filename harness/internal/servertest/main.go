package servertest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// startTime bounds the start of a server, which may include its build.
const startTime = 15 * time.Minute

// Main runs a package's tests with some servers, and fails when they leave a goroutine running. It calls start once and closes
// the servers at the end, also those that start returns with an error.
func Main(m *testing.M, start func(context.Context) ([]*Server, error)) {
	os.Exit(run(m, start))
}

func run(m *testing.M, start func(context.Context) ([]*Server, error)) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	servers, err := start(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	} else {
		code = m.Run()
	}
	for _, s := range servers {
		if s == nil {
			continue // it did not start
		}
		if err := s.Close(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}
