// Command screenshots makes the pictures of the documents. It starts a stack with the app, creates the typical requests
// and two events without an email, and takes pictures with headless Chromium: an email in MailHog, the dashboard, the page
// of an event, its run in Inngest's page, and the report of a change to the email's template.
//
//	go run ./e2e/cmd/screenshots docs/images
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/command"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/review"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: screenshots DIRECTORY")
		os.Exit(2)
	}
	command.Main("screenshots", func(ctx context.Context) error { return run(ctx, os.Args[1]) })
}

func run(ctx context.Context, dir string) (err error) {
	st, err := testenv.Start(ctx, local.New(local.Options{}), stack.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	c, err := newCamera(ctx, st)
	if err != nil {
		return err
	}
	defer c.close()
	env, _ := st.Env()
	if c.shown, err = create(ctx, st, env.AppURL); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range []struct {
		file string
		take func() ([]byte, error)
	}{
		{"mailhog-email.png", c.mailhog},
		{"dashboard.png", c.board},
		{"dashboard-event.png", c.event},
		{"inngest-run.png", func() ([]byte, error) { return c.inngest(ctx, st) }},
		{"report.png", func() ([]byte, error) { return c.report(ctx, st) }},
	} {
		png, err := p.take()
		if err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
		file := filepath.Join(dir, p.file)
		if err := os.WriteFile(file, png, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s  %d KB\n", file, len(png)/1000)
	}
	return nil
}

// shownRequest is the request whose email the pictures show.
const shownRequest = "preventive-scheduled"

// create posts the typical requests, waits for their emails, and sends two events without an email. It returns the
// request to show.
func create(ctx context.Context, st *stack.Stack, url string) (shown app.Request, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err = st.Send(ctx,
		harness.Event{Name: "equipment/audited", Data: map[string]any{"by": "Noor", "equipment": "Conveyor C-12"}},
		harness.Event{Name: "maintenance/request.created", Data: map[string]any{"requestId": "nonsense"}})
	if err != nil {
		return shown, err
	}
	for _, f := range fixtures.Requests() {
		r, err := testenv.Create(ctx, url, f)
		if err != nil {
			return shown, err
		}
		if _, err := st.Inbox().Wait(ctx, testenv.EmailOf(r)); err != nil {
			return shown, err
		}
		if f.Name == shownRequest {
			shown = r
		}
	}
	return shown, nil
}

// writeReport writes the report of a change to the template into dir: it compares the emails with goldens as they could
// have been before the change.
func writeReport(ctx context.Context, st *stack.Stack, dir string) error {
	goldens := filepath.Join(dir, "golden")
	if err := os.CopyFS(goldens, fixtures.Golden()); err != nil {
		return err
	}
	for _, name := range []string{"body.txt", "body.html"} {
		err := replaceInFile(filepath.Join(goldens, shownRequest, name), "This maintenance request is assigned to you.", "You have a new maintenance request.")
		if err != nil {
			return err
		}
	}
	_, err := review.Write(ctx, io.Discard, st, dir, goldens)
	return err
}

func replaceInFile(file, old, with string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	after := bytes.ReplaceAll(data, []byte(old), []byte(with))
	if bytes.Equal(data, after) {
		return fmt.Errorf("%s no longer contains %q", file, old)
	}
	return os.WriteFile(file, after, 0o600)
}
