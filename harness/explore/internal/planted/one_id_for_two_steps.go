package planted

import (
	"context"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// The second use of an id in one pass is another step, by its place in the sequence. A pass that leaves out the first use takes
// the result of that for its own.
var oneIDForTwoSteps = App{
	Name:   "one-id-for-two-steps",
	Defect: "the steps of a loop have one id, and a retry leaves out who has been told, so the next one's step is taken for done",
	Broken: serveCheckpointed(tellAll(func(string) string { return "tell" })),
	Right:  serveCheckpointed(tellAll(func(recipient string) string { return "tell-" + recipient })),
	Send:   []harness.Event{placed},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("tell-all", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Order 7 is packed"), sent(lee, "Order 7 is packed")},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

func tellAll(stepID func(recipient string) string) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "tell-all", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			var untold []string
			for _, recipient := range []string{o.To, lee} {
				if s.store.get("done:told-"+o.Order+"-"+recipient) == "" {
					untold = append(untold, recipient)
				}
			}
			for _, recipient := range untold {
				err := run(ctx, stepID(recipient), func() error {
					return s.once("told-"+o.Order+"-"+recipient, func() error {
						return s.send(mail{run: in.InputCtx.RunID, to: recipient, subject: "Order " + o.Order + " is packed", id: "packed-" + o.Order + "-" + recipient[:3]})
					})
				})
				if err != nil {
					return nil, err
				}
			}
			return nil, nil
		})
	}
}
