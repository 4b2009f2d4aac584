// Package ranlog records on which backend and database the tests of a program really ran, because that is not always what
// was asked for.
//
// Each stack that starts appends a line to the file that HARNESS_RAN names, with three fields separated by tabs:
//
//	local	FerretDB v1.24.2 (stand-in for MongoDB)	github.com/odoo-maintenance/inngest-harness/e2e
//
// Several programs may append to it at the same time. Where the variable is not set, nothing is written.
package ranlog

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// Variable names the environment variable with the file's absolute path.
const Variable = "HARNESS_RAN"

// Note records that tests of this program run on a stack with these servers.
func Note(backend string, servers []harness.ServerInfo) error {
	database := ""
	for _, info := range servers {
		if info.Service == harness.ServiceMongo {
			database = info.Version
		}
	}
	return note(os.Getenv(Variable), backend, database)
}

func note(path, backend, database string) (err error) {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("note where the tests run, as %s asks: %w", Variable, err)
	}
	// A single write keeps the lines of several programs apart.
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
