package testenv

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"strconv"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/inngest"
	"github.com/odoo-maintenance/inngest-harness/app/inngest/functions"
	"github.com/odoo-maintenance/inngest-harness/harness"
)

// SendTimeout is the time limit of a delivery by the app that [Functions] makes.
const SendTimeout = 3 * time.Second

// Pace are the other times of that app: it leaves alone what has been dispatched.
var Pace = app.Pace{
	DispatchLease: time.Hour, RedispatchAfter: time.Hour, ConfirmAfter: time.Hour, SendLease: functions.SendLease(SendTimeout),
}

// Functions makes an app that serves the notification app's functions on a store, and nothing besides.
func Functions(ctx context.Context, env harness.Env, store app.Store) (http.Handler, error) {
	client, handler, err := inngest.NewClient(ctx, inngest.Options{Dev: true, EventURL: env.InngestURL, APIURL: env.InngestURL, EventKey: env.EventKey})
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(env.SMTPAddr)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	smtp, err := email.NewSMTP(email.SMTPOptions{Host: host, Port: number, Timeout: SendTimeout})
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(env.AppURL)
	if err != nil {
		return nil, err
	}
	links, err := app.NewLinks(base, "", "an api token of some length")
	if err != nil {
		return nil, err
	}
	_, err = functions.Register(client, functions.Deps{
		Store: store, Mailer: smtp, Links: links, Logger: slog.New(slog.DiscardHandler),
		From: mail.Address{Name: "Maintenance", Address: "maintenance@plant.example"}, TimeZone: time.UTC,
		SendTimeout: SendTimeout, Pace: Pace,
	}, functions.All()...)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(inngest.Path, handler)
	return mux, nil
}
