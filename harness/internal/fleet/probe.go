package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/endpoint"
)

// A Probe reports whether one instance of a server is usable, from what the server answers and what it prints. It is safe
// for concurrent use.
type Probe struct {
	// Service and Ports say what to look at.
	Service harness.Service
	Ports   []int
	// Dir is the directory that the Inngest server was given with --sqlite-dir, which distinguishes it from another one
	// on its port. Empty: it was given none.
	Dir string
	// MailCatcher is the mail catcher.
	MailCatcher harness.MailCatcher
	// Keys are those of a self-hosted Inngest server, which are also what distinguishes it.
	Keys harness.Keys
	// ReplicaSet says that MongoDB is to be the primary of its replica set.
	ReplicaSet bool
	// Password is that of Redis.
	Password string

	answered   atomic.Pointer[time.Time] // when Inngest answered first
	moved      atomic.Bool
	subscribed atomic.Bool
	database   atomic.Pointer[endpoint.Database]
}

// subscribeTime bounds the wait for the line in which the Inngest server says that it has subscribed to its own events. It
// prints that some 100 ms after its first answer, and until then it accepts events and loses them. A server that does not
// print it is sent an event.
const subscribeTime = 3 * time.Second

// Line takes a line that the server has printed.
func (p *Probe) Line(line string) {
	switch {
	case p.Service != harness.ServiceInngest:
	case strings.Contains(line, "Port conflict, using new port") && strings.Contains(line, "dev server api"):
		p.moved.Store(true)
	case strings.Contains(line, "subscribing to events"):
		p.subscribed.Store(true)
	}
}

// Look returns nil when the server is usable, and a [*MovedError] when it listens elsewhere.
func (p *Probe) Look(ctx context.Context) error {
	switch p.Service {
	case harness.ServiceMongo:
		db, err := endpoint.Mongo(ctx, MongoURI(p.Ports[0], false))
		p.database.Store(&db)
		if err != nil || !p.ReplicaSet {
			return err
		}
		return endpoint.MongoPrimary(ctx, MongoURI(p.Ports[0], false), ReplicaSet, Loopback(p.Ports[0]))
	case harness.ServiceMailHog:
		if err := endpoint.Mail(ctx, p.MailCatcher, URL(p.Ports[0])); err != nil {
			return err
		}
		return endpoint.SMTP(ctx, Loopback(p.Ports[1]))
	case harness.ServiceRedis:
		return endpoint.Redis(ctx, Loopback(p.Ports[0]), p.Password)
	case harness.ServicePostgres:
		return endpoint.Postgres(ctx, Loopback(p.Ports[0]))
	default:
		return p.inngest(ctx)
	}
}

func (p *Probe) inngest(ctx context.Context) error {
	if p.moved.Load() {
		return &MovedError{p.Ports[0]}
	}
	if p.Keys != (harness.Keys{}) {
		if err := endpoint.InngestSelfHosted(ctx, URL(p.Ports[0]), p.Keys); err != nil {
			return err
		}
	} else {
		dir, err := endpoint.InngestDir(ctx, URL(p.Ports[0]))
		if err != nil {
			return err
		}
		if p.Dir != "" && dir != p.Dir {
			return &MovedError{p.Ports[0]}
		}
	}
	now := time.Now()
	p.answered.CompareAndSwap(nil, &now)
	switch {
	case p.subscribed.Load():
		return nil
	case time.Since(*p.answered.Load()) < subscribeTime:
		return errors.New("it answers, but would still lose the events that it accepts")
	default:
		return endpoint.InngestTakesEvents(ctx, URL(p.Ports[0]), p.Keys)
	}
}

// Database returns what the last look at MongoDB found.
func (p *Probe) Database() endpoint.Database {
	if db := p.database.Load(); db != nil {
		return *db
	}
	return endpoint.Database{}
}

// MovedError says that the Inngest server does not listen on the port that it was given, since another program does.
type MovedError struct{ Port int }

// Error says what to do about it.
func (e *MovedError) Error() string {
	return fmt.Sprintf("port %d was taken by another program while Inngest started: start again, or let the harness choose with --ports free", e.Port)
}
