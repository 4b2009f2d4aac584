package containers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/bridge"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/upkeep"
)

// The variables that name images.
const (
	EnvImageMongo   = "HARNESS_IMAGE_MONGO"
	EnvImageMailHog = "HARNESS_IMAGE_MAILHOG"
	EnvImageInngest = "HARNESS_IMAGE_INNGEST"
)

// Images are the images to run.
type Images struct {
	// Mongo serves the MongoDB protocol on port 27017. Empty: HARNESS_IMAGE_MONGO, else mongo:8.0.
	Mongo string
	// MailHog serves SMTP on port 1025 and its API on port 8025. Empty: HARNESS_IMAGE_MAILHOG, else
	// mailhog/mailhog:v1.0.1.
	MailHog string
	// Inngest has the command inngest in its PATH and no entrypoint. Empty: HARNESS_IMAGE_INNGEST, else
	// inngest/inngest:v1.43.0.
	Inngest string
}

// OfficialImages are the images that their makers publish, in the versions that the harness is made for.
func OfficialImages() Images {
	return Images{Mongo: "mongo:8.0", MailHog: "mailhog/mailhog:v1.0.1", Inngest: "inngest/inngest:v1.43.0"}
}

// Options configures the backend. The zero value is ready to use.
type Options struct {
	Images Images
	// StartTimeout bounds how long each server may take until it answers, pulls not counted. Zero: 60 s.
	StartTimeout time.Duration
}

// Backend starts the servers in containers. It is safe for concurrent use: stacks started at the same time share
// nothing but the engine.
type Backend struct {
	o Options
	// reached is set once a container has been seen to reach this machine, which no later stack need try again.
	reached atomic.Bool
}

// New returns the backend. It starts nothing, and looks for no engine yet.
func New(o Options) *Backend {
	official := OfficialImages()
	o.Images.Mongo = cmp.Or(o.Images.Mongo, os.Getenv(EnvImageMongo), official.Mongo)
	o.Images.MailHog = cmp.Or(o.Images.MailHog, os.Getenv(EnvImageMailHog), official.MailHog)
	o.Images.Inngest = cmp.Or(o.Images.Inngest, os.Getenv(EnvImageInngest), official.Inngest)
	o.StartTimeout = cmp.Or(o.StartTimeout, time.Minute)
	return &Backend{o: o}
}

// Name implements [harness.Backend].
func (*Backend) Name() string { return "containers" }

// Start implements [harness.Backend]. Images that are not here are pulled first; o.Progress tells how far it is.
func (b *Backend) Start(ctx context.Context, o harness.BackendOptions) (_ harness.Servers, err error) {
	wanted := specs
	if o.WithoutInngest {
		wanted = slices.DeleteFunc(slices.Clone(specs), func(s spec) bool { return s.service == harness.ServiceInngest })
	}
	s, err := b.prepare(ctx, wanted, o)
	if err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, srv := range s.all {
		g.Go(func() error { return srv.start(gctx) })
	}
	if err := g.Wait(); err != nil {
		return nil, s.abandon(ctx, err)
	}
	return s, nil
}

// StartAlone makes the container of one server as Start would, waits until it is usable, removes it, and returns how
// long it took from making it until it was usable: what the start of a stack, with all its containers side by side, is
// to be measured against. o is as for Start.
func (b *Backend) StartAlone(ctx context.Context, name harness.Service, o harness.BackendOptions) (took time.Duration, err error) {
	only := slices.DeleteFunc(slices.Clone(specs), func(s spec) bool { return s.service != name })
	s, err := b.prepare(ctx, only, o)
	if err != nil {
		return 0, err
	}
	srv, err := s.of(name)
	if err != nil {
		return 0, s.abandon(ctx, err)
	}
	began := time.Now()
	if err := srv.start(ctx); err != nil {
		return 0, s.abandon(ctx, err)
	}
	took = time.Since(began)
	return took, s.Close(ctx)
}

// prepare makes all that the containers of the wanted servers need to be started: images, a connection, a network.
func (b *Backend) prepare(ctx context.Context, wanted []spec, o harness.BackendOptions) (_ *servers, err error) {
	docker, err := engine.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &servers{
		backend: b,
		engine:  docker,
		id:      strings.ToLower(rand.Text()[:10]),
		tell:    upkeep.Serialised(o.Progress),
		all:     make(map[harness.Service]*server),
		died:    make(chan error, 1),
	}
	s.alive, s.bury = context.WithCancel(context.WithoutCancel(ctx))
	for _, spec := range wanted {
		printed := &watch{}
		book := logbook.New(logbook.Options{File: filepath.Join(o.Dir, string(spec.service)+".log"), OnLine: printed.line})
		s.all[spec.service] = &server{spec: spec, options: o, servers: s, log: book, printed: printed}
	}
	defer func() {
		if err != nil {
			err = s.abandon(ctx, err)
		}
	}()

	if err := b.images(ctx, docker, wanted, s.tell, func(name harness.Service, i engine.Image) { s.all[name].image = i }); err != nil {
		return nil, err
	}
	if err := sweep(ctx, docker, s.tell); err != nil {
		return nil, err
	}
	// Not before: what a killed stack left behind may hold these ports.
	if err := port.CheckAll(port.OfServers(o.Ports.Inngest, o.Ports.MailHog, o.Ports.SMTP, o.Ports.Mongo)...); err != nil {
		return nil, err
	}
	if s.provider, err = newProvider(ctx, docker); err != nil {
		return nil, err
	}
	if s.gateway, err = s.makeNetwork(ctx); err != nil {
		return nil, err
	}
	s.bridge = bridge.New(s.gateway)
	return s, nil
}

// abandon removes all that a start which failed has made so far, and returns why it failed. The start's own context may
// be over by now.
func (s *servers) abandon(ctx context.Context, err error) error {
	return errors.Join(engine.Explain(err), s.Close(context.WithoutCancel(ctx)))
}

// makeNetwork makes the stack's network and returns the address that this machine has in it.
func (s *servers) makeNetwork(ctx context.Context) (gateway string, err error) {
	// Called off half-way, the engine might make it all the same, after we have looked for what to remove.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	n, err := s.provider.network(ctx, s.name(), s.labels(""))
	if err != nil {
		return "", fmt.Errorf("make a network for the containers: %w", err)
	}
	return n, nil
}
