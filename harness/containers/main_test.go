package containers_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests where HARNESS_BACKENDS names this backend. There, a missing engine is a failure.
func TestMain(m *testing.M) {
	if !slices.Contains(strings.Split(os.Getenv("HARNESS_BACKENDS"), ","), "containers") {
		fmt.Println("containers: not run, HARNESS_BACKENDS does not name it (HARNESS_BACKENDS=local,containers make test)")
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
