package planted

import (
	"context"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A step is retried as a whole.
var twoEmailsInOneStep = App{
	Name:   "two-emails-in-one-step",
	Defect: "one step sends two emails, so a temporary refusal of the second sends the first again",
	Broken: serve(announce(false)),
	Right:  serve(announce(true)),
	Send:   []harness.Event{placed},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("announce", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Order 7 is on its way"), sent(lee, "Order 7 is on its way")},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

func announce(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "announce", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			to := func(recipient string) error {
				return s.send(mail{run: in.InputCtx.RunID, to: recipient, subject: "Order " + o.Order + " is on its way", id: "way-" + o.Order + "-" + recipient[:3]})
			}
			if !right {
				return nil, run(ctx, "announce", func() error {
					return s.once("announce-"+o.Order, func() error {
						if err := to(o.To); err != nil {
							return err
						}
						return to(lee)
					})
				})
			}
			for _, recipient := range []string{o.To, lee} {
				err := run(ctx, "announce-to-"+recipient, func() error {
					return s.once("announce-"+o.Order+"-"+recipient, func() error { return to(recipient) })
				})
				if err != nil {
					return nil, err
				}
			}
			return nil, nil
		})
	}
}
