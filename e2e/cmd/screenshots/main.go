// Command screenshots makes the pictures in the README: it starts a stack with the app, creates the typical requests,
// and photographs what a person sees, with headless Chromium.
//
//	go run ./e2e/cmd/screenshots docs/images
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/browser"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/rig"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
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
	stack, err := harness.Start(ctx, local.New(local.Options{}), harness.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Close(context.WithoutCancel(ctx))) }()
	if err := stack.RunHandler(ctx, rig.App); err != nil {
		return err
	}
	env, _ := stack.Env()
	// The world as it is, so that the pictures show the addresses that the README speaks of.
	if err := rig.SeedWorld(ctx, env.MongoURI, fixtures.World()); err != nil {
		return err
	}
	shown, err := create(ctx, stack, env.AppURL)
	if err != nil {
		return err
	}

	tab, cancel, err := browser.Open(ctx, 1180, 900)
	if err != nil {
		return err
	}
	defer cancel()
	page, err := photograph(tab, browser.Settled("#preview-html"),
		chromedp.Navigate(stack.Endpoints().MailHog),
		chromedp.WaitVisible(chromedp.CSS(".msglist-message")),
		chromedp.Click(chromedp.Search(fmt.Sprintf(`//div[contains(@class,"msglist-message")][contains(.,%q)]`, shown.Subject))),
		chromedp.WaitVisible(chromedp.CSS("#preview-html")),
	)
	if err != nil {
		return fmt.Errorf("photograph MailHog's page: %w", err)
	}
	request, err := photograph(tab, chromedp.Title(),
		chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)),
		chromedp.Navigate(env.AppURL+"/requests/"+shown.ID),
		chromedp.WaitVisible(chromedp.CSS("h1")),
	)
	if err != nil {
		return fmt.Errorf("photograph the request's page: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, png := range map[string][]byte{"mailhog-email.png": page, "request-page.png": request} {
		if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
			return err
		}
		fmt.Println(filepath.Join(dir, name))
	}
	return nil
}

// photograph takes the steps, waits for settled, and returns a picture of what is then to see.
func photograph[T any](tab context.Context, settled chromedp.Action[T], steps ...chromedp.Action[chromedp.Void]) ([]byte, error) {
	if err := chromedp.Do(tab, steps...); err != nil {
		return nil, err
	}
	if _, err := chromedp.Run(tab, settled); err != nil {
		return nil, err
	}
	return chromedp.Run(tab, chromedp.CaptureScreenshot())
}

// create posts the typical requests, waits for their emails, and returns the one to show.
func create(ctx context.Context, stack *harness.Stack, url string) (shown app.Request, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, f := range fixtures.Requests() {
		res, err := http.Post(url+"/api/requests", "application/json", bytes.NewReader(f.Body))
		if err != nil {
			return shown, err
		}
		var r app.Request
		err = json.NewDecoder(res.Body).Decode(&r)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusCreated {
			return shown, fmt.Errorf("create %s: %s %w", f.Name, res.Status, err)
		}
		if _, err := stack.Inbox().Wait(ctx, inbox.Filter{Header: map[string]string{"X-Maintenance-Request-Id": r.ID}}); err != nil {
			return shown, err
		}
		if f.Name == "preventive-scheduled" {
			shown = r
		}
	}
	return shown, nil
}
