// Command prebuild builds the database and the mail catcher.
//
// Without arguments it is for `make dev`, which has them built beside the command harness, at a higher priority. An
// error is left to the command, which explains it. With a directory and a system it is for a release, which has them beside that
// command, each with its licence:
//
//	prebuild DIRECTORY linux arm64
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o toolchain.Options
	into := ""
	if len(os.Args) == 4 {
		into, o.GOOS, o.GOARCH = os.Args[1], os.Args[2], os.Args[3]
	}
	services := []harness.Service{harness.ServiceMongo, harness.ServiceMailHog}
	errs := make([]error, len(services))
	var building sync.WaitGroup
	for i, service := range services {
		building.Go(func() {
			var bin toolchain.Binary
			if bin, errs[i] = toolchain.Ensure(ctx, service, progress(o)); errs[i] == nil && into != "" {
				errs[i] = release(ctx, bin, into)
			}
		})
	}
	building.Wait()
	if err := errors.Join(errs...); err != nil && into != "" {
		fmt.Fprintln(os.Stderr, "prebuild:", err)
		os.Exit(1)
	}
}

// progress makes a build print what it does.
func progress(o toolchain.Options) toolchain.Options {
	doing := ""
	o.Progress = func(p harness.Progress) {
		if p.Doing != doing {
			doing = p.Doing
			fmt.Fprintf(os.Stderr, "%-8s %s\n", p.Subject, doing)
		}
	}
	return o
}

// modules are the servers' modules, whose licences go with their programs.
var modules = map[harness.Service]string{
	harness.ServiceMongo: "github.com/FerretDB/FerretDB", harness.ServiceMailHog: "github.com/mailhog/MailHog",
}

// release copies a program and its licence into a directory.
func release(ctx context.Context, bin toolchain.Binary, into string) error {
	if err := os.MkdirAll(into, 0o755); err != nil {
		return err
	}
	program, err := os.ReadFile(bin.Path)
	if err != nil {
		return err
	}
	file := filepath.Join(into, filepath.Base(bin.Path))
	if err := os.WriteFile(file, program, 0o755); err != nil {
		return err
	}
	module := modules[bin.Tool] + "@" + bin.Version
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // outside any module
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("download %s: %w", module, err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return fmt.Errorf("download %s: %w", module, err)
	}
	for _, name := range []string{"LICENSE", "LICENSE.md"} {
		text, err := os.ReadFile(filepath.Join(downloaded.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		return os.WriteFile(strings.TrimSuffix(file, ".exe")+"-LICENSE", text, 0o644)
	}
	return fmt.Errorf("%s has no licence", module)
}
