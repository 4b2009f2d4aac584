package planted

import (
	"context"
	"errors"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A handler of failures is a function as any other: it may be retried too. The card is always declined, so the first run fails
// without any fault.
var failureHandler = App{
	Name:   "failure-handler",
	Defect: "the handler of a failed run sends two emails outside steps, so a retry sends the first one again",
	Broken: serve(chargeCard(false)),
	Right:  serve(chargeCard(true)),
	Send:   []harness.Event{placed},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("charge-card", harness.StatusFailed), ended("charge-failed", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Your card was declined"), sent(office, "Order 7 is not paid")},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

// A cause is the data of an event about the end of a run.
type cause[D any] struct {
	Event struct {
		Data D `json:"data"`
	} `json:"event"`
}

func chargeCard(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "charge-card", func(ctx context.Context, _ inngestgo.Input[order]) (any, error) {
			return nil, run(ctx, "charge", func() error { return inngestgo.NoRetryError(errors.New("the card was declined")) })
		})
		about := inngestgo.StrPtr("event.data.function_id == '" + appID + "-charge-card'")
		failed := inngestgo.MultipleTriggers{inngestgo.EventTrigger("inngest/function.failed", about)}
		onTriggers(s, failed, inngestgo.FunctionOpts{ID: "charge-failed"}, func(ctx context.Context, in inngestgo.Input[cause[order]]) (any, error) {
			o := in.Event.Data.Event.Data
			tellCustomer := func() error {
				return s.send(mail{run: in.InputCtx.RunID, to: o.To, subject: "Your card was declined", id: "declined-" + o.Order})
			}
			tellOffice := func() error {
				return s.send(mail{run: in.InputCtx.RunID, to: office, subject: "Order " + o.Order + " is not paid", id: "unpaid-" + o.Order})
			}
			if !right {
				if err := tellCustomer(); err != nil {
					return nil, err
				}
				return nil, tellOffice()
			}
			if err := run(ctx, "tell-customer", func() error { return s.once("declined-"+o.Order, tellCustomer) }); err != nil {
				return nil, err
			}
			return nil, run(ctx, "tell-office", func() error { return s.once("unpaid-"+o.Order, tellOffice) })
		})
	}
}
