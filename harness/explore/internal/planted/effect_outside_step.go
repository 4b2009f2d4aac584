package planted

import (
	"context"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// The body of a function is executed again for each retry of a later step: what it does outside its steps, it does again.
var effectOutsideStep = App{
	Name:   "effect-outside-step",
	Defect: "an email is sent in the body of the function, between two steps",
	Broken: serveCheckpointed(confirmOrder(false)),
	Right:  serveCheckpointed(confirmOrder(true)),
	Send:   []harness.Event{placed},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("confirm-order", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Order 7 is confirmed"), sent(office, "New order 7")},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

func confirmOrder(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "confirm-order", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			if err := run(ctx, "save", func() error { return s.store.put("order:"+o.Order, o.To) }); err != nil {
				return nil, err
			}
			confirmation := mail{run: in.InputCtx.RunID, to: o.To, subject: "Order " + o.Order + " is confirmed", id: "confirmed-" + o.Order}
			confirm := func() error { return s.send(confirmation) }
			if right {
				confirm = func() error {
					return run(ctx, "confirm", func() error { return s.once("confirm-"+o.Order, func() error { return s.send(confirmation) }) })
				}
			}
			if err := confirm(); err != nil {
				return nil, err
			}
			return nil, run(ctx, "notify-office", func() error {
				return s.once("notify-"+o.Order, func() error {
					return s.send(mail{run: in.InputCtx.RunID, to: office, subject: "New order " + o.Order, id: "new-" + o.Order})
				})
			})
		})
	}
}
