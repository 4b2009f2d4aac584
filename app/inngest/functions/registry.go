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

// Function creates one function on a client, which from then on serves it.
type Function func(inngestgo.Client, Deps) (inngestgo.ServableFunction, error)

// All are the app's functions. Adding one is one file, and one line here.
func All() []Function {
	return []Function{
		SendRequestNotification,
	}
}

// Deps is what functions work with. All of it is required.
type Deps struct {
	Store  app.Store
	Mailer Mailer
	Links  app.Links
	Logger *slog.Logger
	// From is the sender of emails, TimeZone the one that schedules are written in.
	From     mail.Address
	TimeZone *time.Location
	// SendTimeout bounds one whole delivery; what is not accepted by then is tried again.
	SendTimeout time.Duration
	Pace        app.Pace
}

// Mailer hands an email to a mail server, as *email.SMTP does: nil means that the server has accepted it. It must
// return soon after ctx has ended.
type Mailer interface {
	Send(ctx context.Context, m *email.Message) error
}

// Register creates functions on a client.
func Register(c inngestgo.Client, d Deps, functions ...Function) error {
	for _, create := range functions {
		f, err := create(c, d)
		if err != nil {
			return fmt.Errorf("create an Inngest function: %w", err)
		}
		d.Logger.Debug("serving function", "function", f.FullyQualifiedID())
	}
	return nil
}
