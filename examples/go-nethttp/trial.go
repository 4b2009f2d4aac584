// Package trial is an app with one durable function, served by net/http: two days before a trial ends it writes to the user,
// unless the user has subscribed.
package trial

import (
	"context"
	"fmt"
	"net/http"
	"net/smtp"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"
)

// Config says where the app's servers are.
type Config struct {
	InngestURL string // base URL of the Inngest server
	EventKey   string // key to send events with
	SMTPAddr   string // host:port of the mail server
}

// New returns the app's routes: its Inngest functions under /api/inngest.
func New(c Config) (http.Handler, error) {
	dev, register := true, c.InngestURL+"/fn/register"
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "trial", Dev: &dev, EventKey: &c.EventKey,
		EventAPIBaseURL: &c.InngestURL, APIBaseURL: &c.InngestURL, RegisterURL: &register,
	})
	if err != nil {
		return nil, err
	}
	if err := addRemind(client, c); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	return mux, nil
}

type user struct {
	Email string `json:"email"`
}

func addRemind(client inngestgo.Client, c Config) error {
	_, err := inngestgo.CreateFunction(client,
		inngestgo.FunctionOpts{
			ID:     "remind",
			Cancel: []inngestgo.ConfigCancel{{Event: "user/subscribed", If: inngestgo.StrPtr("event.data.email == async.data.email")}},
		},
		inngestgo.EventTrigger("trial/started", nil),
		func(ctx context.Context, in inngestgo.Input[user]) (any, error) {
			step.Sleep(ctx, "twelve-days", 12*24*time.Hour)
			return step.Run(ctx, "send-email", func(context.Context) (string, error) {
				to := in.Event.Data.Email
				return to, sendMail(c.SMTPAddr, in.InputCtx.RunID, to, "Your trial ends in two days", "Subscribe to go on.")
			})
		})
	return err
}

// sendMail names the run that sends the email in a header.
func sendMail(server, run, to, subject, text string) error {
	message := fmt.Sprintf("From: Team <team@trial.test>\r\nTo: %s\r\nSubject: %s\r\nX-Inngest-Run-Id: %s\r\n\r\n%s\r\n",
		to, subject, run, text)
	return smtp.SendMail(server, nil, "team@trial.test", []string{to}, []byte(message))
}
