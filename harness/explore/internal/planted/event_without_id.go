package planted

import (
	"context"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// The server drops a second event with an id that it knows. The SDK's own attempts of one sending are safe; those of the step
// around it are not.
var eventWithoutID = App{
	Name:   "event-without-id",
	Defect: "a step sends an event without an id, so a retry of the step starts a second run, which sends a second email",
	Broken: serve(billOrder(false)),
	Right:  serve(billOrder(true)),
	Send:   []harness.Event{placed},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("bill-order", completed), ended("send-invoice", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Invoice of order 7")},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

func billOrder(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "bill-order", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			return step.Run(ctx, "bill", func(ctx context.Context) (string, error) {
				wanted := inngestgo.Event{Name: "invoice/wanted", Data: map[string]any{"order": o.Order, "to": o.To}}
				if right {
					wanted.ID = inngestgo.StrPtr("invoice-" + o.Order)
				}
				return s.inngest.Send(ctx, wanted)
			})
		})
		on(s, "invoice/wanted", "send-invoice", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			return nil, run(ctx, "send", func() error {
				return s.once("invoice-"+*in.Event.ID, func() error {
					return s.send(mail{run: in.InputCtx.RunID, to: o.To, subject: "Invoice of order " + o.Order, id: "invoice-" + o.Order})
				})
			})
		})
	}
}
