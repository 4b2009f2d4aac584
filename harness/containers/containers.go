package containers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/containers/internal/engine"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/fleet"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
)

// The variables that name images.
const (
	EnvImageMongo   = "HARNESS_IMAGE_MONGO"
	EnvImageMailHog = "HARNESS_IMAGE_MAILHOG"
	EnvImageMailpit = "HARNESS_IMAGE_MAILPIT"
	EnvImageInngest = "HARNESS_IMAGE_INNGEST"
)

// Images are the images to run.
type Images struct {
	// Mongo serves the MongoDB protocol on port 27017. Empty: HARNESS_IMAGE_MONGO, else mongo:8.0.
	Mongo string
	// MailHog serves SMTP on port 1025 and its API on port 8025. Empty: HARNESS_IMAGE_MAILHOG, else
	// mailhog/mailhog:v1.0.1.
	MailHog string
	// Mailpit serves the same ports, and its entrypoint is Mailpit. Empty: HARNESS_IMAGE_MAILPIT, else axllent/mailpit:v1.33.1.
	Mailpit string
	// Inngest has the command inngest in its PATH and no entrypoint. Empty: HARNESS_IMAGE_INNGEST, else
	// inngest/inngest:v1.43.0.
	Inngest string
}

// OfficialImages returns the published images in the versions that the harness supports.
func OfficialImages() Images {
	return Images{
		Mongo: "mongo:8.0", MailHog: "mailhog/mailhog:v1.0.1", Mailpit: "axllent/mailpit:v1.33.1", Inngest: "inngest/inngest:v1.43.0",
	}
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
	// reached is set once a container has reached this machine, so that later stacks do not check it again.
	reached atomic.Bool
}

// New returns the backend. It starts nothing, and looks for no engine yet.
func New(o Options) *Backend {
	official := OfficialImages()
	o.Images.Mongo = cmp.Or(o.Images.Mongo, os.Getenv(EnvImageMongo), official.Mongo)
	o.Images.MailHog = cmp.Or(o.Images.MailHog, os.Getenv(EnvImageMailHog), official.MailHog)
	o.Images.Mailpit = cmp.Or(o.Images.Mailpit, os.Getenv(EnvImageMailpit), official.Mailpit)
	o.Images.Inngest = cmp.Or(o.Images.Inngest, os.Getenv(EnvImageInngest), official.Inngest)
	o.StartTimeout = cmp.Or(o.StartTimeout, time.Minute)
	return &Backend{o: o}
}

// Name implements [harness.Backend].
func (*Backend) Name() string { return "containers" }

// grace is how long a server may take to shut down before the engine kills it.
const grace = 2 * time.Second

// Start implements [harness.Backend]. Images that are not here are pulled first; o.Progress receives how far it is.
func (b *Backend) Start(ctx context.Context, o harness.BackendOptions) (_ harness.Servers, err error) {
	if o.Keys != (harness.Keys{}) {
		return nil, fmt.Errorf("run the self-hosted Inngest server in containers: %w: use the local backend", harness.ErrUnsupported)
	}
	if o.Connect {
		return nil, fmt.Errorf("run an app that connects with Inngest in a container: %w: its gateway is not published; use the local backend", harness.ErrUnsupported)
	}
	wanted, err := fleet.Wanted(b.Name(), o)
	if err != nil {
		return nil, err
	}
	progress := fleet.Serialised(o.Progress)
	s, err := b.prepare(ctx, wanted, o, progress)
	if err != nil {
		return nil, err
	}
	s.Fleet, err = fleet.Start(ctx, fleet.Options{
		Backend: b.Name(), StartTimeout: b.o.StartTimeout, Grace: grace, Progress: progress, EndAll: s.endAll, ReplicaSet: o.ReplicaSet,
	}, s.units...)
	if err != nil {
		return nil, err
	}
	if err := s.findGateway(ctx); err != nil {
		err = fmt.Errorf("find this machine's address in the network of the containers: %w", err)
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// prepare makes what the containers need: their images and a connection to the engine.
func (b *Backend) prepare(ctx context.Context, wanted []harness.Service, o harness.BackendOptions, progress func(harness.Progress)) (_ *stack, err error) {
	docker, err := engine.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &stack{backend: b, engine: docker, id: strings.ToLower(rand.Text()[:10])}
	s.alive, s.endLife = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil { // ctx may have ended; what was made has to go all the same
			err = errors.Join(engine.Explain(err), s.endAll(context.WithoutCancel(ctx)))
		}
	}()
	images, err := b.ensureImages(ctx, docker, wanted, o.MailCatcher, progress)
	if err != nil {
		return nil, err
	}
	if image, ok := images[harness.ServiceMongo]; ok && o.ReplicaSet && !slices.Contains(image.Command, "mongod") {
		return nil, fleet.NoReplicaSet("the image " + image.Name + " runs another database")
	}
	for _, service := range wanted {
		s.units = append(s.units, &unit{service: service, o: o, stack: s, image: images[service]})
	}
	if err := sweep(ctx, docker, progress); err != nil {
		return nil, err
	}
	// Not before: what a killed stack left behind may hold these ports.
	if err := port.CheckAll(port.OfServers(o.Ports, o.MailCatcher)...); err != nil {
		return nil, err
	}
	return s, nil
}
