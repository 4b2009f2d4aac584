package faults_test

import (
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// stall is longer than the app waits in any phase of a delivery: 30 s beside its default of 10 s.
const stall = mailTimeout

// onDelivery is a row in which the delivery of one email meets a fault.
func onDelivery(fault string, p promise, f tap.Fault) row {
	return row{fault: fault, promise: p, happen: func(e *env) {
		d := e.draft()
		f := f
		f.To = d.to
		e.inject(f)
		e.create(d)
	}}
}

var smtpRows = []row{
	onDelivery("30 s stall before acceptance (scaled)", sent(), tap.Fault{At: tap.AtDATA, Do: tap.Delay, For: stall}),
	onDelivery("30 s stall after acceptance (scaled)", sentTwice(), tap.Fault{At: tap.AtDot, Do: tap.DelayAnswer, For: stall}),
}

var mailServerRows = []row{
	{fault: "connection refused, then back", promise: sent(), happen: func(e *env) {
		e.inject(tap.Fault{At: tap.AtConnect, Do: tap.Drop, Times: 3})
		e.create(e.draft())
	}},
	{fault: "MailHog killed in a delivery and restarted", promise: sent(), happen: func(e *env) {
		d := e.draft()
		hold := e.inject(tap.Fault{At: tap.AtDATA, Do: tap.Hold, To: d.to})
		e.create(d)
		e.waitReached(hold)
		e.kill(harness.ServiceMailHog)
		hold.Release()
		e.waitFor("a delivery without a mail server", e.began, func(c tap.Exchange) bool {
			return c.Mail != nil && c.Over() && c.Err != "" && len(c.Mail.To) == 0
		})
		e.start(harness.ServiceMailHog)
	}},
	{fault: "MailHog frozen in a delivery, then going on", promise: sent(), happen: func(e *env) {
		d := e.draft()
		hold := e.inject(tap.Fault{At: tap.AtDATA, Do: tap.Hold, To: d.to})
		e.create(d)
		e.waitReached(hold)
		e.pause(harness.ServiceMailHog)
		hold.Release()
		e.waitFor("an attempt that failed", e.began, callFailed)
		e.resume(harness.ServiceMailHog)
	}},
}
