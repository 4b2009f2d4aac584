package planted

import (
	"context"
	"crypto/rand"

	"github.com/inngest/inngestgo"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A mail server may accept an email and its reply be lost. The copy that follows is no harm if mail programs can see that it
// is one.
var newMessageID = App{
	Name:   "new-message-id",
	Defect: "each attempt gives the email another Message-ID",
	Broken: serve(receipt(false)),
	Right:  serve(receipt(true)),
	Send:   []harness.Event{placed},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("send-receipt", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Receipt of order 7")},
		NoOtherRuns: true, NoOtherMail: true,
	},
}

func receipt(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "order/placed", "send-receipt", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			return nil, run(ctx, "send", func() error {
				return s.once("receipt-"+o.Order, func() error {
					m := mail{run: in.InputCtx.RunID, to: o.To, subject: "Receipt of order " + o.Order, id: "receipt-" + o.Order}
					if !right {
						m.id = rand.Text()
					}
					return s.send(m)
				})
			})
		})
	}
}
