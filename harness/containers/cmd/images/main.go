// Command images builds container images of the servers from source, for machines that reach no image registry and
// for processors that the official images leave out. The programs are the pinned builds that the local backend runs.
//
//	go run ./harness/containers/cmd/images [-app ./app/cmd/app] [-production]
//
// The images are inngest-harness/mongo:dev (FerretDB, which stands in for MongoDB), …/mailhog:dev, …/mailpit:dev, …/inngest:dev and,
// with -app, …/app:dev. They are built FROM scratch, hold one program each, run as user 65532 and have health
// checks. With -production there are also …/caddy:dev, from source, and …/redis:dev and …/postgres:dev, which hold the programs
// of this machine's Debian packages with the libraries that they load. In the end the command prints the variables that make the containers backend use them, and testcontainers do
// without its reaper, whose image it would pull.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// printer prints a line when something begins and when it is done.
func printer(w io.Writer) func(harness.Progress) {
	var mu sync.Mutex
	printed := make(map[string]bool)
	return func(p harness.Progress) {
		mu.Lock()
		defer mu.Unlock()
		line := fmt.Sprintf("%-8s %s", p.Subject, p.Doing)
		switch {
		case p.Done:
			fmt.Fprintf(w, "%s  %v\n", line, p.Elapsed.Round(10*time.Millisecond))
		case !printed[line]:
			printed[line] = true
			fmt.Fprintln(w, line)
		}
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.SetOutput(stderr)
	app := flags.String("app", "", "Go `package` of an app to make an image of as well")
	production := flags.Bool("production", false, "make the images of docker/compose.production.yml, too (Debian: redis-server, postgresql)")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		flags.Usage()
		return 2
	}
	if err := build(ctx, *app, *production, printer(stderr)); err != nil {
		fmt.Fprintln(stderr, "images:", err)
		return 1
	}
	for _, i := range []struct{ variable, image string }{
		{containers.EnvImageMongo, tag("mongo")},
		{containers.EnvImageMailHog, tag("mailhog")},
		{containers.EnvImageMailpit, tag("mailpit")},
		{containers.EnvImageInngest, tag("inngest")},
	} {
		fmt.Fprintf(stdout, "export %s=%s\n", i.variable, i.image)
	}
	fmt.Fprintln(stdout, "export TESTCONTAINERS_RYUK_DISABLED=true")
	return 0
}
