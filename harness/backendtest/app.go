package backendtest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/smtp"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

const (
	eventName  = "backendtest/greeted"
	functionID = "greet"
)

// greeting is the data of the event.
type greeting struct {
	To string `json:"to"`
}

// newApp makes an app with one function, which sends an email.
func newApp(_ context.Context, env harness.Env) (http.Handler, error) {
	dev := true
	register := env.InngestURL + "/fn/register"
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "backendtest", Dev: &dev, EventKey: &env.EventKey, EventAPIBaseURL: &env.InngestURL, APIBaseURL: &env.InngestURL,
		RegisterURL: &register, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("make an Inngest client: %w", err)
	}
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: functionID, Retries: inngestgo.IntPtr(0)},
		inngestgo.EventTrigger(eventName, nil), func(ctx context.Context, in inngestgo.Input[greeting]) (any, error) {
			return step.Run(ctx, "send-email", func(context.Context) (string, error) {
				to := in.Event.Data.To
				text := fmt.Sprintf("From: suite@backend.test\r\nTo: %s\r\nSubject: Hello\r\nX-Inngest-Run-Id: %s\r\n\r\nHello.\r\n", to, in.InputCtx.RunID)
				return to, smtp.SendMail(env.SMTPAddr, nil, "suite@backend.test", []string{to}, []byte(text))
			})
		})
	if err != nil {
		return nil, fmt.Errorf("make the function: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	return mux, nil
}
