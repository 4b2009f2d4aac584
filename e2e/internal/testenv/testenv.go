// Package testenv puts the notification app and the world of the fixtures on a stack, for the tests and the commands of
// this module.
//
//	st, err := testenv.Start(ctx, backend, stack.Options{})      the app and both plants of the fixtures
//	r, err := testenv.Create(ctx, env.AppURL, fixtures.Requests()[0])
//	email, err := st.Inbox().Wait(ctx, testenv.EmailOf(r))
package testenv

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/config"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
	"github.com/odoo-maintenance/inngest-harness/app/mongostore"
	"github.com/odoo-maintenance/inngest-harness/app/service"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/attach"
	"github.com/odoo-maintenance/inngest-harness/harness/containers"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// Backends returns every backend. Tests run on those that HARNESS_BACKENDS names.
func Backends() []harness.Backend {
	return []harness.Backend{
		local.New(local.Options{}), containers.New(containers.Options{}), attach.New(attach.Options{}),
		simstack.New(local.New(local.Options{}), simstack.Options{}), mailpit{local.New(local.Options{})},
	}
}

// mailpit is the local backend with Mailpit in the place of MailHog.
type mailpit struct{ harness.Backend }

// Name implements [harness.Backend].
func (mailpit) Name() string { return "local-mailpit" }

// Start implements [harness.Backend].
func (b mailpit) Start(ctx context.Context, o harness.BackendOptions) (harness.Servers, error) {
	o.MailCatcher = harness.Mailpit
	return b.Backend.Start(ctx, o)
}

// App starts the notification app in this process, with the configuration that a program of its own would read from its
// environment. It is a [stack.HandlerFunc].
func App(ctx context.Context, env harness.Env) (http.Handler, error) {
	return serve(ctx, env, service.Deps{})
}

func serve(ctx context.Context, env harness.Env, deps service.Deps) (http.Handler, error) {
	vars := map[string]string{}
	for _, v := range env.Environ() {
		key, value, _ := strings.Cut(v, "=")
		vars[key] = value
	}
	c, err := config.Parse(vars)
	if err != nil {
		return nil, err
	}
	s, err := service.New(ctx, c, deps)
	if err != nil {
		return nil, err
	}
	return handler{s.Handler(), s}, nil
}

// handler serves the app's routes. Its Close ends the app gracefully.
type handler struct {
	http.Handler
	*service.Service
}

// Start starts a stack on a backend with the app, and stores both plants of the fixtures unchanged: golden emails and
// documents name their addresses. The app also serves further functions. On a busy machine it may take a while to end. The caller
// closes the stack.
func Start(ctx context.Context, b harness.Backend, o stack.Options, further ...functions.Function) (*stack.Stack, error) {
	o.AppGrace = cmp.Or(o.AppGrace, 15*time.Second)
	st, err := stack.Start(ctx, b, o)
	if err != nil {
		return nil, err
	}
	var store app.Store
	deps := service.Deps{Functions: append(functions.All(), further...)}
	err = st.RunHandler(ctx, func(ctx context.Context, env harness.Env) (http.Handler, error) { return serve(ctx, env, deps) })
	if err == nil {
		env, _ := st.Env()
		store, err = Seed(ctx, env.MongoURI, fixtures.World(), fixtures.HostileWorld())
	}
	if err == nil {
		err = store.Close(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, st.Close(context.WithoutCancel(ctx)))
	}
	return st, nil
}

// Seed stores plants, and returns a store on their database, which the caller closes. Tests that share a database store
// clones of a plant, so that they share no user.
func Seed(ctx context.Context, mongoURI string, plants ...fixtures.Plant) (app.Store, error) {
	store, err := mongostore.Open(ctx, mongoURI)
	if err != nil {
		return nil, err
	}
	for _, plant := range plants {
		var world app.World
		err := json.Unmarshal(plant.JSON(), &world)
		if err == nil {
			err = store.PutWorld(ctx, world)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("seed the plant: %w", err), store.Close(ctx))
		}
	}
	return store, nil
}

// Create posts a request of the fixtures to the app at a base URL, and returns it as stored. The plant that the request
// names must have been seeded.
func Create(ctx context.Context, appURL string, f fixtures.Request) (app.Request, error) {
	return CreateAs(ctx, appURL, "", f)
}

// CreateAs posts a request as Create does, with an API token.
func CreateAs(ctx context.Context, appURL, token string, f fixtures.Request) (app.Request, error) {
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return create(ctx, appURL, header, f)
}

// CreateOnce posts a request as Create does, again and again until the app answers: it may be killed meanwhile. The key makes
// that one request.
func CreateOnce(ctx context.Context, appURL, key string, f fixtures.Request) (app.Request, error) {
	tick := time.NewTicker(retryPause)
	defer tick.Stop()
	for {
		r, err := create(ctx, appURL, http.Header{"Idempotency-Key": {key}}, f)
		cut := (*url.Error)(nil)
		if !errors.As(err, &cut) && !errors.Is(err, io.ErrUnexpectedEOF) || ctx.Err() != nil {
			return r, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r, err
		}
	}
}

// retryPause is how long CreateOnce waits for an app that does not answer.
const retryPause = 50 * time.Millisecond

func create(ctx context.Context, appURL string, header http.Header, f fixtures.Request) (app.Request, error) {
	var r app.Request
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, appURL+"/api/requests", bytes.NewReader(f.Body))
	if err != nil {
		return r, err
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return r, fmt.Errorf("create %s: %w", f.Name, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return r, fmt.Errorf("create %s: %w", f.Name, err)
	}
	if res.StatusCode != http.StatusCreated {
		return r, fmt.Errorf("create %s: the app answers %s: %s (is the sample world loaded? `make dev` does it)", f.Name, res.Status, body)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("create %s: read the app's answer: %w", f.Name, err)
	}
	return r, nil
}

// StoreUndispatched stores a request that the app's dispatcher leaves alone for an hour. The caller sends its event.
func StoreUndispatched(ctx context.Context, store app.Store, f fixtures.Request) (app.Request, error) {
	var r app.Request
	if err := json.Unmarshal(f.Body, &r); err != nil {
		return r, err
	}
	now := time.Now()
	r.ID = store.NewID()
	r.CreatedAt = now
	r.Notification = app.NewNotification("<"+r.ID+"@plant.test>", now, app.Pace{DispatchLease: time.Hour, RedispatchAfter: time.Hour, SendLease: time.Minute})
	return r, store.CreateRequest(ctx, r)
}

// EmailOf matches the emails that the app sends about a request.
func EmailOf(r app.Request) inbox.Filter {
	return inbox.Filter{Header: map[string]string{"X-Maintenance-Request-Id": r.ID}}
}
