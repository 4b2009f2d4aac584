package functions

import (
	"context"
	"fmt"
	"log/slog"
	"net/mail"
	"time"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
)

// Function creates one function on a client, which serves it from then on.
type Function func(inngestgo.Client, Deps) (inngestgo.ServableFunction, error)

// All returns the app's functions. A new function is one file and one line here.
func All() []Function {
	return []Function{
		SendRequestNotification,
	}
}

// Deps holds the dependencies of functions. All fields but Track and Observer are required.
type Deps struct {
	Store  app.Store
	Mailer Mailer
	Links  app.Links
	Logger *slog.Logger
	// From is the sender of emails. TimeZone is the zone in which emails show schedules.
	From     mail.Address
	TimeZone *time.Location
	// SendTimeout limits one whole delivery. After that the delivery counts as failed and is retried.
	SendTimeout time.Duration
	Pace        app.Pace
	// Track is called at the beginning of every call, and what it returns at its end: a stop waits for the calls between. Nil:
	// none waits.
	Track func() (done func())
	// Observer receives what the functions do. Nil: nothing is reported.
	Observer Observer
}

// Observer receives what functions do. Its methods return at once.
type Observer interface {
	// Step reports that the body of a step begins, and the returned function what the body returned. The body gets the context.
	Step(ctx context.Context, s Step) (context.Context, func(error))
	// Claim reports how a claim of a notification ended.
	Claim(result app.ClaimResult)
	// Failed reports that a notification has become failed.
	Failed()
}

// Step is one attempt of a step.
type Step struct {
	ID, RunID, RequestID string
	Attempt              int // from 1
	// TraceParent is that of the event that started the run.
	TraceParent string
}

// Mailer sends emails; *email.SMTP is one.
type Mailer interface {
	// Send returns nil when the mail server has accepted the email. It returns soon after ctx has ended.
	Send(ctx context.Context, m *email.Message) error
}

// Register creates the functions on a client, and returns their ids on the server.
func Register(c inngestgo.Client, d Deps, functions ...Function) ([]string, error) {
	if d.Track == nil {
		d.Track = func() func() { return func() {} }
	}
	var ids []string
	for _, create := range functions {
		f, err := create(c, d)
		if err != nil {
			return nil, fmt.Errorf("create an Inngest function: %w", err)
		}
		ids = append(ids, f.FullyQualifiedID())
		d.Logger.Debug("serving function", "function", f.FullyQualifiedID())
	}
	return ids, nil
}
