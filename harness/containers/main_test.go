package containers_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/odoo-maintenance/inngest-harness/harness/backendtest"
)

// TestMain runs the tests that need a Docker engine, TestOnEngine…, where HARNESS_BACKENDS names this backend. There,
// a missing engine is a failure.
func TestMain(m *testing.M) {
	if !slices.Contains(strings.Split(os.Getenv("HARNESS_BACKENDS"), ","), "containers") {
		fmt.Println("containers: not run on an engine, HARNESS_BACKENDS does not name it (HARNESS_BACKENDS=local,containers make test)")
		flag.Parse() // otherwise a -skip of the command line would replace this one
		skip := flag.Lookup("test.skip").Value
		if err := skip.Set(strings.Trim(skip.String()+"|^TestOnEngine", "|")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	backendtest.Main(m)
}
