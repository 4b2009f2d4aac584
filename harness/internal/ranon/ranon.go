// Package ranon has test programs say on which backend and which database they really ran, for whoever started them to
// sum up: what was asked for is not always what ran.
//
// Each stack that starts appends a line to the file that HARNESS_RAN names, three fields between tabs:
//
//	local	FerretDB v1.24.2 (stand-in for MongoDB)	github.com/odoo-maintenance/inngest-harness/e2e
//
// Many programs append to it at the same time. Unset, nothing is written.
package ranon

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// Variable names the environment variable with the file's absolute path.
const Variable = "HARNESS_RAN"

// Note writes down that tests of this program run on a stack.
func Note(s *stack.Stack) error {
	return note(os.Getenv(Variable), s.Backend(), s.Describe()[0].Version)
}

func note(path, backend, database string) (err error) {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("note where the tests run, as %s asks: %w", Variable, err)
	}
	// One write: lines of several programs stay whole.
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\n", backend, database, Package())
	return errors.Join(err, f.Close())
}

// Package is the import path of the package whose tests this program runs.
func Package() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return strings.TrimSuffix(info.Path, ".test")
}
