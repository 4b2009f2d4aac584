package simstack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/smtp"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

// newShop is the app under test, as a stack.HandlerFunc.
func newShop(_ context.Context, env harness.Env) (http.Handler, error) {
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID: "shop", Dev: inngestgo.BoolPtr(true), EventKey: &env.EventKey, EventAPIBaseURL: &env.InngestURL,
		RegisterURL: inngestgo.StrPtr(env.InngestURL + "/fn/register"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	_, err = inngestgo.CreateFunction(client, inngestgo.FunctionOpts{ID: "remind"}, inngestgo.EventTrigger("cart/left", nil),
		func(ctx context.Context, in inngestgo.Input[map[string]string]) (any, error) {
			step.Sleep(ctx, "a-day", 24*time.Hour)
			return step.Run(ctx, "send-reminder", func(context.Context) (string, error) {
				to := in.Event.Data["to"]
				text := fmt.Sprintf("From: shop@shop.test\r\nTo: %s\r\nSubject: Your cart\r\nX-Inngest-Run-Id: %s\r\n\r\nIt waits.\r\n", to, in.InputCtx.RunID)
				return to, smtp.SendMail(env.SMTPAddr, nil, "shop@shop.test", []string{to}, []byte(text))
			})
		})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/inngest", client.Serve())
	return mux, nil
}

// A day passes, and the email is judged, without a server.
func ExampleWorkbench() {
	ctx := context.Background()
	w, err := simstack.NewWorkbench(ctx, newShop, simstack.WorkbenchOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close(ctx)

	id, err := w.Sim().Send(ctx, harness.Event{Name: "cart/left", Data: map[string]string{"to": "kim@shop.test"}})
	if err != nil {
		log.Fatal(err)
	}
	verdict, err := w.Judge(ctx, id, harness.Expectation{
		Runs:        []harness.RunExpectation{{Function: "remind", Status: harness.StatusCompleted}},
		Mail:        []harness.MailExpectation{{To: "kim@shop.test", Subject: harness.Equals("Your cart"), Copies: 1}},
		NoOtherMail: true,
	}, judge.Options{})
	if err != nil {
		log.Fatal(err)
	}
	run := verdict.Trace.Runs[0]
	fmt.Println(verdict.Outcome, "after", run.Ended.Sub(run.Queued))
	// Output: holds after 24h0m0s
}

// A run of last week's code, whose trace a test has kept as evidence, against the code of today.
func ExampleRecording() {
	var trace harness.Trace
	err := json.Unmarshal([]byte(`{
		"eventId": "01M83HXF1EP9YMMEX4S4643WCB",
		"event": {"name": "cart/left", "id": "cart-7", "data": {"to": "kim@shop.test"}, "received": "2026-11-16T09:00:00Z"},
		"runs": [{"id": "01M83HXF8S50P9H2X7PTNHV7H4", "function": "remind", "app": "shop", "eventId": "01M83HXF1EP9YMMEX4S4643WCB", "status": "COMPLETED", "steps": [
			{"id": "a-day", "op": "SLEEP", "status": "COMPLETED", "started": "2026-11-16T09:00:00Z", "ended": "2026-11-17T09:00:00Z"},
			{"id": "mail-reminder", "op": "RUN", "status": "COMPLETED", "output": "kim@shop.test", "started": "2026-11-17T09:00:00Z", "ended": "2026-11-17T09:00:01Z"}
		]}]
	}`), &trace)
	if err != nil {
		log.Fatal(err)
	}
	recording, err := simstack.Recording(&trace, "")
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	w, err := simstack.NewWorkbench(ctx, newShop, simstack.WorkbenchOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close(ctx)
	replay, err := w.Sim().Replay(ctx, recording)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(replay)
	// Output: the code does not come to step "mail-reminder" any more, and comes to step "send-reminder" instead: if that is a new name for the same work, runs under way will do it a second time after the deploy
}
