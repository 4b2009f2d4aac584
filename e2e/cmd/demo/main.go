// Command demo creates the typical requests through the API of the app that `make dev` runs, waits for their emails, and
// prints where to see them. APP_URL and HARNESS_MAIL_URL together name another app and its mailbox, and API_TOKEN the app's
// token.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/command"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// timeout bounds the wait for all emails.
const timeout = 30 * time.Second

func main() {
	command.Main("demo", func(ctx context.Context) error { return demo(ctx, os.Stdout) })
}

func demo(ctx context.Context, out io.Writer) error {
	appURL, mailURL, token := os.Getenv("APP_URL"), os.Getenv(attach.EnvMail), os.Getenv("API_TOKEN")
	if appURL == "" || mailURL == "" {
		var err error
		if appURL, mailURL, err = findStack(ctx); err != nil {
			return err
		}
	}
	page, err := url.Parse(mailURL)
	if err != nil {
		return fmt.Errorf("%s is not a URL", attach.EnvMail) // it may hold a password
	}
	page.User = nil
	box := inbox.New(mailURL, inbox.Options{})
	defer func() { _ = box.Close(context.WithoutCancel(ctx)) }()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	began := time.Now()
	var created []app.Request
	for _, f := range fixtures.Requests() {
		r, err := testenv.CreateAs(ctx, appURL, token, f)
		if err != nil {
			return err
		}
		created = append(created, r)
	}
	for i, r := range created {
		name := fixtures.Requests()[i].Name
		m, err := box.Wait(ctx, testenv.EmailOf(r))
		if err != nil {
			return fmt.Errorf("wait for the email of %s (%s/api/requests/%s shows its state): %w", name, appURL, r.ID, err)
		}
		fmt.Fprintf(out, "  %-22s → %-18s %s\n", name, m.Envelope.To[0], m.Subject)
	}
	fmt.Fprintf(out, "%d requests, %d emails, in %s. Look at them: %s\n",
		len(created), len(created), time.Since(began).Round(10*time.Millisecond), page)
	return nil
}

// findStack returns the addresses of the app and of MailHog: those of the `make dev` that runs in this directory. Where
// there is none, it returns those of the well-known ports, which the compose project publishes.
func findStack(ctx context.Context) (appURL, mailURL string, err error) {
	ends, env, err := attach.Find()
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
		return "", "", fmt.Errorf("%w, or with `docker compose up --wait`", err)
	}
	return appURL, mailURL, res.Body.Close()
}
