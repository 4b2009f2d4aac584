package testenv

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/odoo-maintenance/inngest-harness/app/service"
)

// programName is the name under which a program that calls [RunProgram] is the app.
const programName = "testenv-app"

// Program returns the app as a program: a link in dir to the running program, whose main or TestMain calls RunProgram. It
// saves a build, and has the race detector where the tests have it.
func Program(dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the running program: %w", err)
	}
	link := filepath.Join(dir, programName+filepath.Ext(self))
	if err := os.Symlink(self, link); err != nil {
		return "", fmt.Errorf("make the app's program: %w", err)
	}
	return link, nil
}

// RunProgram does what the command of the app does, and exits, if this process was started by the name that [Program]
// returned. Otherwise it returns at once. TestMain calls it first.
func RunProgram() {
	name := filepath.Base(os.Args[0])
	if strings.TrimSuffix(name, filepath.Ext(name)) != programName {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(service.Command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
