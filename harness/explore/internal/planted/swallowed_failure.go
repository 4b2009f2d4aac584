package planted

import (
	"context"
	"log/slog"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A run that has ended well without its email is not noticed.
var swallowedFailure = App{
	Name:   "swallowed-failure",
	Defect: "the function logs the failure of a step and returns as if it had succeeded",
	Broken: serve(welcome(false)),
	Right:  serve(welcome(true)),
	Send:   []harness.Event{placed},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("welcome", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Thank you for order 7")},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

func welcome(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "welcome", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			err := run(ctx, "thank", func() error {
				return s.once("thank-"+o.Order, func() error {
					return s.send(mail{run: in.InputCtx.RunID, to: o.To, subject: "Thank you for order " + o.Order, id: "thanks-" + o.Order})
				})
			})
			if err != nil && !right {
				slog.DebugContext(ctx, "no thanks", "error", err)
				err = nil
			}
			return nil, err
		})
	}
}
