package planted

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// The ledger is a service of its own, which is told of each email by an event that is posted without the SDK, and so
// without its retries.
var recordAfterSend = App{
	Name:   "record-after-send",
	Defect: "an email is sent and then recorded, and a record that fails makes the step send the email again",
	Broken: serve(recordedReminder(false)),
	Right:  serve(recordedReminder(true)),
	Send:   []harness.Event{placed},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("remind", completed), ended("ledger", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Order 7 is not paid")},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

func recordedReminder(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "remind", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			remind := func() error {
				return s.send(mail{run: in.InputCtx.RunID, to: o.To, subject: "Order " + o.Order + " is not paid", id: "unpaid-" + o.Order})
			}
			if !right {
				return step.Run(ctx, "remind", func(ctx context.Context) (string, error) {
					if id := s.store.get("reminded:" + o.Order); id != "" {
						return id, nil
					}
					if err := remind(); err != nil {
						return "", err
					}
					id, err := s.tellLedger(ctx, o)
					if err != nil {
						return "", err
					}
					return id, s.store.put("reminded:"+o.Order, id)
				})
			}
			if err := run(ctx, "remind", func() error { return s.once("remind-"+o.Order, remind) }); err != nil {
				return nil, err
			}
			return step.Run(ctx, "record", func(ctx context.Context) (string, error) { return s.tellLedger(ctx, o) })
		})
		on(s, "mail/sent", "ledger", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			return nil, run(ctx, "enter", func() error { return s.store.put("ledger:"+in.Event.Data.Order, in.Event.Data.To) })
		})
	}
}

// tellLedger posts the event mail/sent, once, and returns the id that the server gave it.
func (s *shop) tellLedger(ctx context.Context, o order) (id string, err error) {
	body, err := json.Marshal(harness.Event{IdempotencyKey: "sent-" + o.Order, Name: "mail/sent", Data: o})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.env.InngestURL+"/e/"+s.env.EventKey, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the ledger answered %s", response.Status)
	}
	var answer struct{ IDs []string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	return strings.Join(answer.IDs, " "), nil
}
