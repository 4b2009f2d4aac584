package planted

import (
	"context"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// The second use of an id in one pass is another step, by its place in the sequence. A pass that leaves out the first use takes
// its result for that of the second.
var oneIDForTwoSteps = App{
	Name:   "one-id-for-two-steps",
	Defect: "two steps have one id, and a retry leaves out the first, so the second one is taken for done",
	Broken: serveCheckpointed(firstOrder("mail", "mail")),
	Right:  serveCheckpointed(firstOrder("welcome", "receipt")),
	Send:   []harness.Event{placed},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("first-order", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Welcome"), sent(kim, "Receipt of order 7")},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

func firstOrder(welcomeID, receiptID string) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "first-order", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			if s.store.get("done:welcome-"+o.To) == "" {
				err := run(ctx, welcomeID, func() error {
					return s.once("welcome-"+o.To, func() error {
						return s.send(mail{run: in.InputCtx.RunID, to: o.To, subject: "Welcome", id: "welcome-" + o.Order})
					})
				})
				if err != nil {
					return nil, err
				}
			}
			return nil, run(ctx, receiptID, func() error {
				return s.once("receipt-"+o.Order, func() error {
					return s.send(mail{run: in.InputCtx.RunID, to: o.To, subject: "Receipt of order " + o.Order, id: "receipt-" + o.Order})
				})
			})
		})
	}
}
