package service

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app/config"
	"github.com/odoo-maintenance/inngest-harness/app/inngest"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
)

// syncTimeout limits the whole sync command.
const syncTimeout = 30 * time.Second

// syncVariables are those that the sync command needs; PORT is part of the default of APP_URL.
var syncVariables = []string{
	"INNGEST_BASE_URL", "INNGEST_EVENT_API_BASE_URL", "INNGEST_API_BASE_URL", "INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK",
	"PORT", "APP_URL", "SERVE_URL",
}

// register registers the app's functions with the server, and fails unless the server lists them all afterwards. With
// INNGEST_CONNECT there is nothing to do: a deploy job need not know how the app is configured.
func register(ctx context.Context, stdout io.Writer) error {
	c, err := config.Load("INNGEST_CONNECT")
	if err != nil {
		return err
	}
	if c.Connect {
		_, err := fmt.Fprintln(stdout, "nothing to do: INNGEST_CONNECT is set, so every instance registers the functions when it connects to Inngest")
		return err
	}
	variables := syncVariables
	if os.Getenv("SERVE_URL") != "" {
		variables = without(variables, []string{"APP_URL"})
	}
	if c, err = config.Load(variables...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if c.ServeURL == nil {
		c.ServeURL = c.AppURL
	}
	logger := slog.New(slog.DiscardHandler) // the SDK logs what it also returns
	options := inngestOptions(c, logger)
	client, _, err := inngest.NewClient(ctx, options)
	if err != nil {
		return err
	}
	ids, err := functions.Register(client, functions.Deps{Logger: logger}, functions.All()...)
	if err != nil {
		return err
	}
	api := inngest.NewAPI(options)
	before, err := api.Functions(ctx)
	if err != nil {
		return fmt.Errorf("nothing was registered (are the server's URL and INNGEST_SIGNING_KEY right?): %w", err)
	}
	if err := inngest.Register(ctx, client, options); err != nil {
		return fmt.Errorf("the server at %s did not register the app: %w", c.APIURL, err)
	}
	listed, err := api.Functions(ctx)
	if err != nil {
		return fmt.Errorf("the server took the registration, but does not say what it lists now: %w", err)
	}
	if missing := without(ids, listed); len(missing) > 0 {
		return fmt.Errorf("the server at %s took the registration, but does not list %s", c.APIURL, strings.Join(missing, ", "))
	}
	_, err = fmt.Fprintf(stdout, "registered %s at %s%s\nfunctions that Inngest at %s lists: %d now (%s), %d before\n",
		inngest.AppID, c.ServeURL, inngest.Path, c.APIURL, len(listed), strings.Join(listed, ", "), len(before))
	return err
}

// without returns the elements of ids that are not in others.
func without(ids, others []string) (missing []string) {
	for _, id := range ids {
		if !slices.Contains(others, id) {
			missing = append(missing, id)
		}
	}
	return missing
}

// registered returns a check for readiness in production: it says so if the server does not list all functions. Once it
// has listed them they are not asked for again. A server that does not answer is no reason: the app accepts requests
// while Inngest is away.
func (s *Service) registered(api inngest.API, ids []string) func(context.Context) string {
	var seen atomic.Bool
	return func(ctx context.Context) string {
		if s.config.Dev() || seen.Load() {
			return ""
		}
		listed, err := api.Functions(ctx)
		if err != nil {
			s.logger.Warn("cannot see whether the app is registered with Inngest", "error", err)
			return ""
		}
		if missing := without(ids, listed); len(missing) > 0 {
			return fmt.Sprintf("not registered: Inngest does not list %s; run app sync", strings.Join(missing, ", "))
		}
		seen.Store(true)
		return ""
	}
}

// reachable reports whether Inngest can call the functions, for the metrics: by HTTP it asks each time. In development Inngest
// asks the app, so it is not asked.
func (s *Service) reachable(api inngest.API, ids []string, worker *inngest.Worker) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		switch {
		case worker != nil:
			return worker.Connected(), nil
		case s.config.Dev():
			return true, nil
		}
		listed, err := api.Functions(ctx)
		return len(without(ids, listed)) == 0, err
	}
}

// connected is the check for readiness of an app that connects.
func connected(w *inngest.Worker) func(context.Context) string {
	return func(context.Context) string {
		if w.Connected() {
			return ""
		}
		return "not connected: there is no connection to Inngest; the log says why"
	}
}
