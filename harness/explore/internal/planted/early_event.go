package planted

import (
	"context"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/step"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A wait sees only events that arrive after it has begun.
var earlyEvent = App{
	Name:   "early-event",
	Defect: "the function waits for a payment that may have arrived before the wait",
	Broken: serve(shipWhenPaid(false)),
	Right:  serve(shipWhenPaid(true)),
	Send:   []harness.Event{placed, {Name: "payment/received", Data: order{Order: "7"}}},
	Expect: harness.Expectation{
		Runs:        []harness.RunExpectation{ended("ship", completed)},
		Mail:        []harness.MailExpectation{sent(kim, "Order 7 is shipped")},
		NoOtherMail: true,
	},
}

func shipWhenPaid(right bool) func(*shop) {
	return func(s *shop) {
		on(s, "payment/received", "note-payment", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			return nil, run(ctx, "note", func() error { return s.store.put("paid:"+in.Event.Data.Order, "yes") })
		})
		on(s, "order/placed", "ship", func(ctx context.Context, in inngestgo.Input[order]) (any, error) {
			o := in.Event.Data
			noted := func(id string) (bool, error) {
				if !right {
					return false, nil
				}
				return step.Run(ctx, id, func(context.Context) (bool, error) { return s.store.get("paid:"+o.Order) != "", nil })
			}
			paid, err := noted("paid-already")
			if err != nil {
				return nil, err
			}
			if !paid {
				_, err := step.WaitForEvent[inngestgo.Event](ctx, "payment", step.WaitForEventOpts{
					Event: "payment/received", If: inngestgo.StrPtr("event.data.order == async.data.order"), Timeout: time.Hour,
				})
				paid = err == nil
			}
			if !paid { // it may have arrived between the look and the wait
				if paid, err = noted("paid-meanwhile"); err != nil {
					return nil, err
				}
			}
			m := mail{run: in.InputCtx.RunID, to: o.To, subject: "Order " + o.Order + " is shipped", id: "shipped-" + o.Order}
			if !paid {
				m.subject, m.id = "Order "+o.Order+" is cancelled", "cancelled-"+o.Order
			}
			return nil, run(ctx, "tell", func() error { return s.once(m.id, func() error { return s.send(m) }) })
		})
	}
}
