// Command planted serves one of the apps of package planted, with its defect or, with -right, without it:
//
//	planted [-right] NAME
//
// Without a name it lists the apps. It reads PORT, INNGEST_DEV, INNGEST_EVENT_KEY, MAIL_HOST, MAIL_PORT and HARNESS_SCRATCH.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore/internal/planted"
)

func main() {
	right := flag.Bool("right", false, "serve the twin without the defect")
	flag.Parse()
	if flag.NArg() == 0 {
		for _, app := range planted.Apps() {
			fmt.Printf("%s\t%s\n", app.Name, app.Defect)
		}
		return
	}
	if err := serve(flag.Arg(0), *right); err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		os.Exit(1)
	}
}

// serve serves an app until the process is asked to end.
func serve(name string, right bool) error {
	app, ok := planted.Named(name)
	if !ok {
		return fmt.Errorf("there is no app %q: planted without a name lists them", name)
	}
	newHandler := app.Broken
	if right {
		newHandler = app.Right
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr := net.JoinHostPort("127.0.0.1", os.Getenv("PORT"))
	handler, err := newHandler(ctx, harness.Env{
		Addr: addr, InngestURL: os.Getenv("INNGEST_DEV"), EventKey: os.Getenv("INNGEST_EVENT_KEY"),
		SMTPAddr: net.JoinHostPort(os.Getenv("MAIL_HOST"), os.Getenv("MAIL_PORT")),
	})
	if err != nil {
		return err
	}
	server := &http.Server{Addr: addr, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}
