// Command screenshots makes the pictures in the documents: it starts a stack with the app, creates the typical requests
// and two events that go wrong, and photographs with headless Chromium what a person sees: an email in MailHog, the
// dashboard, the page of an event, and the report of a change to the email's template.
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
	"os/signal"
	"path/filepath"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/requests"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/review"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/rig"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: screenshots DIRECTORY")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) (err error) {
	st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	if err := st.RunHandler(ctx, rig.App); err != nil {
		return err
	}
	env, _ := st.Env()
	// The world as it is, so that the pictures show the addresses that the documents speak of.
	if err := errors.Join(rig.SeedWorld(ctx, env.MongoURI, fixtures.World()), rig.SeedWorld(ctx, env.MongoURI, fixtures.HostileWorld())); err != nil {
		return err
	}
	s, err := newStudio(ctx, st)
	if err != nil {
		return err
	}
	defer s.close()
	if s.shown, err = create(ctx, st, env.AppURL); err != nil {
		return err
	}

	pictures := []struct {
		file string
		take func(context.Context) ([]byte, error)
	}{
		{"mailhog-email.png", s.mailhog},
		{"dashboard.png", s.board},
		{"dashboard-event.png", s.event},
		{"report.png", func(ctx context.Context) ([]byte, error) {
			page, cleanUp, err := changed(ctx, st)
			if err != nil {
				return nil, err
			}
			defer cleanUp()
			return s.report(ctx, page)
		}},
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range pictures {
		png, err := p.take(ctx)
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

// create posts the typical requests and waits for their emails, and sends two events of which no email comes. It returns
// the request to show.
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
		r, err := requests.Create(ctx, url, f)
		if err != nil {
			return shown, err
		}
		if _, err := st.Inbox().Wait(ctx, inbox.Filter{Header: map[string]string{"X-Maintenance-Request-Id": r.ID}}); err != nil {
			return shown, err
		}
		if f.Name == shownRequest {
			shown = r
		}
	}
	return shown, nil
}

// changed writes the report that a reviewer would have of a change to the template: compared with goldens that are as
// they might have been before.
func changed(ctx context.Context, st *stack.Stack) (page string, cleanUp func(), err error) {
	dir, err := os.MkdirTemp("", "screenshots-")
	if err != nil {
		return "", nil, err
	}
	cleanUp = func() { _ = os.RemoveAll(dir) } // in the system's directory for what may be lost
	goldens := filepath.Join(dir, "golden")
	err = os.CopyFS(goldens, fixtures.Golden())
	for _, name := range []string{"body.txt", "body.html"} {
		if err != nil {
			break
		}
		err = replaceInFile(filepath.Join(goldens, shownRequest, name), "This maintenance request is assigned to you.", "You have a new maintenance request.")
	}
	if err == nil {
		_, err = review.Write(ctx, io.Discard, st, dir, goldens)
	}
	if err != nil {
		cleanUp()
		return "", nil, err
	}
	return filepath.Join(dir, report.PageFile), cleanUp, nil
}

func replaceInFile(file, old, with string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	after := bytes.ReplaceAll(data, []byte(old), []byte(with))
	if bytes.Equal(data, after) {
		return fmt.Errorf("%s does not say %q any more", file, old)
	}
	return os.WriteFile(file, after, 0o600)
}
