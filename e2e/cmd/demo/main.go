// Command demo creates the typical requests through the API of the app that `make dev` keeps up, waits for their
// emails, and says where to look at them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/requests"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// patience is how long the emails may take.
const patience = 30 * time.Second

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := demo(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, out io.Writer) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	appURL, mailURL, err := findStack(ctx, dir)
	if err != nil {
		return err
	}
	box := inbox.New(mailURL, inbox.Options{})
	defer func() { _ = box.Close(ctx) }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	began := time.Now()
	var created []app.Request
	for _, f := range fixtures.Requests() {
		r, err := requests.Create(ctx, appURL, f)
		if err != nil {
			return err
		}
		created = append(created, r)
	}
	for i, r := range created {
		m, err := box.Wait(ctx, inbox.Filter{Header: map[string]string{"X-Maintenance-Request-Id": r.ID}})
		if err != nil {
			return fmt.Errorf("wait for the email of %s (%s/api/requests/%s says how far it is): %w", fixtures.Requests()[i].Name, appURL, r.ID, err)
		}
		fmt.Fprintf(out, "  %-22s → %-18s %s\n", fixtures.Requests()[i].Name, m.Envelope.To[0], m.Subject)
	}
	fmt.Fprintf(out, "%d requests, %d emails, in %s. Look at them: %s\n",
		len(created), len(created), time.Since(began).Round(10*time.Millisecond), mailURL)
	return nil
}

// findStack returns the pages of the app and of MailHog: those of the `make dev` that is up here, else those on the
// default ports, as of the compose project.
func findStack(ctx context.Context, dir string) (appURL, mailURL string, err error) {
	ends, env, err := attach.Find(dir)
	switch {
	case err == nil && env.AppURL == "":
		return "", "", errors.New("the stack that is up here runs no app: start it with `make dev`")
	case !errors.Is(err, attach.ErrNoStack):
		return env.AppURL, ends.MailHog, err
	}
	known := harness.KnownPorts()
	appURL, mailURL = fmt.Sprintf("http://127.0.0.1:%d", known.App), fmt.Sprintf("http://127.0.0.1:%d", known.MailHog)
	req, reqErr := http.NewRequestWithContext(ctx, http.MethodGet, appURL+"/readyz", nil)
	if reqErr != nil {
		return "", "", reqErr
	}
	res, getErr := http.DefaultClient.Do(req)
	if getErr != nil {
		return "", "", fmt.Errorf("%w, or with `make compose-up`", err)
	}
	return appURL, mailURL, res.Body.Close()
}
