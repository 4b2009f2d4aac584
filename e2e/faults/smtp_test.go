package faults_test

import (
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// stall is longer than the app waits in any phase of a delivery: 30 s beside its default of 10 s.
const stall = mailTimeout

// onDelivery is a row in which the delivery of one email meets a fault.
func onDelivery(fault string, p promise, f tap.Fault) row {
	return row{fault: fault, promise: p, happen: func(s *scene) {
		d := s.draft()
		f := f
		f.To = d.to
		s.inject(f)
		s.create(d)
	}}
}

var smtpRows = []row{
	onDelivery("SMTP 451 twice, then accepted", sent(),
		tap.Fault{At: tap.AtRCPT, Do: tap.Reply, Code: 451, Text: "Greylisted, try again later", Times: 2}),
	onDelivery("SMTP 452 after the message, then accepted", sent(),
		tap.Fault{At: tap.AtDot, Do: tap.Reply, Code: 452, Text: "Insufficient storage"}),
	onDelivery("SMTP 550", failed("550 No such user here"),
		tap.Fault{At: tap.AtRCPT, Do: tap.Reply, Code: 550, Text: "No such user here", Times: -1}),
	onDelivery("SMTP 554 after the message", failed("554 Looks like spam"),
		tap.Fault{At: tap.AtDot, Do: tap.Reply, Code: 554, Text: "Looks like spam", Times: -1}),
	onDelivery("dropped before acceptance", sent(), tap.Fault{At: tap.AtDot, Do: tap.Drop}),
	onDelivery("dropped in the middle of the message", sent(), tap.Fault{At: tap.AtBody, Do: tap.Drop, Bytes: 1000}),
	onDelivery("dropped after acceptance", sentTwice(), tap.Fault{At: tap.AtDot, Do: tap.DropAnswer}),
	onDelivery("30 s stall before acceptance (scaled)", sent(), tap.Fault{At: tap.AtDATA, Do: tap.Delay, For: stall}),
	onDelivery("30 s stall after acceptance (scaled)", sentTwice(), tap.Fault{At: tap.AtDot, Do: tap.DelayAnswer, For: stall}),
}

var mailServerRows = []row{
	{fault: "connection refused, then back", promise: sent(), happen: func(s *scene) {
		s.inject(tap.Fault{At: tap.AtConnect, Do: tap.Drop, Times: 3})
		s.create(s.draft())
	}},
	{fault: "MailHog killed in a delivery and restarted", promise: sent(), happen: func(s *scene) {
		d := s.draft()
		hold := s.inject(tap.Fault{At: tap.AtDATA, Do: tap.Hold, To: d.to})
		s.create(d)
		s.reached(hold)
		s.kill(harness.ServiceMailHog)
		hold.Release()
		s.sees("a delivery that found no mail server", s.began, func(c tap.Exchange) bool {
			return c.Mail != nil && c.Over() && c.Err != "" && len(c.Mail.To) == 0
		})
		s.run(harness.ServiceMailHog)
	}},
	{fault: "MailHog frozen in a delivery, then going on", promise: sent(), happen: func(s *scene) {
		d := s.draft()
		hold := s.inject(tap.Fault{At: tap.AtDATA, Do: tap.Hold, To: d.to})
		s.create(d)
		s.reached(hold)
		s.freeze(harness.ServiceMailHog)
		hold.Release()
		s.sees("an attempt that was given up", s.began, callFailed)
		s.thaw(harness.ServiceMailHog)
	}},
}
