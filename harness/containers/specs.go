package containers

import (
	"context"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/upkeep"
)

// spec says how one of the servers is run. Its functions get the published ports in the order of inside.
type spec struct {
	service harness.Service
	image   func(Images) string
	// inside are the ports that the server listens on in its container.
	inside []int
	// ports lists the ports to publish them on: the fixed number, or zero for any free one.
	ports func(harness.Ports) []int
	// command is what to run, nil for what the image runs by itself.
	command func(harness.BackendOptions) []string
	env     map[string]string
	// look returns what a person is told of the server once it is usable. image is what its image says of itself.
	look func(ctx context.Context, ports []int, image string) (identity, error)
	// last is in the line that the server prints last of all that it does to start. Empty: once it answers it is
	// usable.
	last string
	// works returns nil when a server that answers has done all of that, whatever it prints.
	works func(ctx context.Context, ports []int) error
}

// identity is what runs.
type identity struct {
	version string
	hasUI   bool
}

var specs = []spec{
	{
		service: harness.ServiceMongo,
		image:   func(i Images) string { return i.Mongo },
		inside:  []int{27017},
		ports:   func(p harness.Ports) []int { return []int{p.Mongo} },
		command: func(harness.BackendOptions) []string { return nil },
		look: func(ctx context.Context, ports []int, image string) (identity, error) {
			db, err := endpoint.Mongo(ctx, upkeep.MongoURI(ports[0]))
			if db.FerretDB == "unknown" {
				db.FerretDB = image
			}
			return identity{version: db.String()}, err
		},
	},
	{
		service: harness.ServiceMailHog,
		image:   func(i Images) string { return i.MailHog },
		inside:  []int{8025, 1025},
		ports:   func(p harness.Ports) []int { return []int{p.MailHog, p.SMTP} },
		command: func(harness.BackendOptions) []string { return nil },
		look: func(ctx context.Context, ports []int, image string) (identity, error) {
			if err := endpoint.MailHog(ctx, upkeep.URL(ports[0])); err != nil {
				return identity{}, err
			}
			return identity{version: image, hasUI: true}, endpoint.SMTP(ctx, upkeep.Loopback(ports[1]))
		},
	},
	{
		service: harness.ServiceInngest,
		image:   func(i Images) string { return i.Inngest },
		inside:  []int{8288},
		ports:   func(p harness.Ports) []int { return []int{p.Inngest} },
		command: inngestCommand,
		env:     map[string]string{"DO_NOT_TRACK": "1"},
		look: func(ctx context.Context, ports []int, image string) (identity, error) {
			url := upkeep.URL(ports[0])
			if err := endpoint.Inngest(ctx, url); err != nil {
				return identity{}, err
			}
			return identity{version: image, hasUI: endpoint.HasPage(ctx, url)}, nil
		},
		// Between its first answer and this line it takes events and loses them.
		last: "subscribing to events",
		works: func(ctx context.Context, ports []int) error {
			return endpoint.InngestTakesEvents(ctx, upkeep.URL(ports[0]))
		},
	},
}

// tick is how often, in milliseconds, the server looks at its queue. Its default of 150 is most of the time between
// event and email.
const tick = 10

func inngestCommand(o harness.BackendOptions) []string {
	command := []string{"inngest", "dev", "--host", "0.0.0.0", "--no-discovery", "--no-poll", "--tick", strconv.Itoa(tick)}
	if o.RetryInterval > 0 {
		command = append(command, "--retry-interval", strconv.Itoa(int(o.RetryInterval/time.Second)))
	}
	return command
}
