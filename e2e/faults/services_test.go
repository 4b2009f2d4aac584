package faults_test

import (
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// before is the moment at which a step is about to begin; after is the step before it, if any.
func before(step, after string) tap.Fault {
	return tap.Fault{At: tap.AtStep, Do: tap.Hold, Function: notify, Step: step, After: after}
}

// unsaved is the moment at which a step has ended and Inngest does not know it yet.
func unsaved(step string) tap.Fault {
	return tap.Fault{At: tap.AtStep, Do: tap.HoldAnswer, Function: notify, Step: step}
}

// acceptedUnheard is the moment at which the mail server has accepted the email and the app does not know it yet.
func acceptedUnheard() tap.Fault { return tap.Fault{At: tap.AtDot, Do: tap.HoldAnswer} }

// databaseAway is a row in which the database is killed at a point and comes back when that has made a call fail.
func databaseAway(fault string, at tap.Fault) row {
	return row{fault: fault, promise: sent(), happen: func(s *scene) {
		hold := s.inject(at)
		s.create(s.draft())
		s.reached(hold)
		s.kill(harness.ServiceMongo)
		hold.Release()
		s.sees("a call that failed for want of the database", s.began, callFailed)
		s.run(harness.ServiceMongo)
	}}
}

// callFailed says that a call of the function was answered with a failure, of a step or of all of it.
func callFailed(c tap.Exchange) bool {
	if c.Call == nil || !c.Over() {
		return false
	}
	for _, op := range c.Call.Ops {
		if op.Error != nil {
			return true
		}
	}
	return c.Call.Error != nil
}

var databaseRows = []row{
	databaseAway("MongoDB killed before the run's first step, and restarted", before(fetchDetails, "")),
	databaseAway("MongoDB killed before send-email, and restarted", before(sendEmail, getTechnician)),
	databaseAway("MongoDB killed between acceptance and saving, and restarted", acceptedUnheard()),
	{fault: "MongoDB frozen before send-email, then going on", promise: sent(), happen: func(s *scene) {
		hold := s.inject(before(sendEmail, getTechnician))
		s.create(s.draft())
		s.reached(hold)
		s.freeze(harness.ServiceMongo)
		hold.Release()
		s.notReady()
		s.thaw(harness.ServiceMongo)
	}},
}

var inngestRows = []row{
	{fault: "Inngest down when a request is created, then back", promise: sent(), happen: func(s *scene) {
		s.kill(harness.ServiceInngest)
		s.create(s.draft())
		s.sees("the app fail to send the event", s.began, func(c tap.Exchange) bool {
			return c.Dispatch != nil && c.Over() && c.Err != ""
		})
		s.run(harness.ServiceInngest)
	}},
	stateLost("Inngest killed before the run's first step, state lost", before(fetchDetails, "")),
	stateLost("Inngest killed before send-email, state lost", before(sendEmail, getTechnician)),
	stateLost("Inngest killed between acceptance and saving, state lost", acceptedUnheard()),
	stateLost("Inngest killed before it saved send-email, state lost", unsaved(sendEmail)),
	{fault: "Inngest frozen before send-email, then going on", promise: sent(), happen: func(s *scene) {
		hold := s.inject(before(sendEmail, getTechnician))
		s.create(s.draft())
		s.reached(hold)
		s.freeze(harness.ServiceInngest)
		hold.Release()
		s.sees("the email, sent without Inngest", s.began, func(c tap.Exchange) bool { return c.Mail != nil && c.Mail.Accepted })
		s.thaw(harness.ServiceInngest)
	}},
}

// stateLost is a row in which Inngest is killed at a point, and comes back knowing nothing.
func stateLost(fault string, at tap.Fault) row {
	return row{fault: fault, promise: sent(), happen: func(s *scene) {
		hold := s.inject(at)
		s.create(s.draft())
		s.reached(hold)
		s.kill(harness.ServiceInngest)
		hold.Release()
		s.run(harness.ServiceInngest)
	}}
}

// appKilled is a row in which the app is killed at a moment when each of some points has something in its hold, and
// started again.
func appKilled(fault string, p promise, at ...tap.Fault) row {
	return row{fault: fault, promise: p, happen: func(s *scene) {
		var holds []*tap.Injection
		for _, f := range at {
			holds = append(holds, s.inject(f))
		}
		s.create(s.draft())
		s.reached(holds...)
		s.kill(harness.ServiceApp)
		for _, hold := range holds {
			hold.Drop()
		}
		s.run(harness.ServiceApp)
	}}
}

var appStepRows = []row{
	appKilled("app killed before fetch-request-details", sent(), before(fetchDetails, "")),
	appKilled("app killed when fetch-request-details has ended, unsaved", sent(), unsaved(fetchDetails)),
	appKilled("app killed before get-technician-email", sent(), before(getTechnician, fetchDetails)),
	appKilled("app killed when get-technician-email has ended, unsaved", sent(), unsaved(getTechnician)),
	appKilled("app killed before send-email", sent(), before(sendEmail, getTechnician)),
	appKilled("app killed when send-email has ended, unsaved", sent(), unsaved(sendEmail)),
	appKilled("app killed before the run's end is known", sent(), tap.Fault{At: tap.AtCall, Do: tap.HoldAnswer, Function: notify}),
}

var appDispatchRows = []row{
	appKilled("app killed at dispatch, before Inngest has the event", sent(),
		tap.Fault{At: tap.AtEvent, Do: tap.Hold}),
	appKilled("app killed at dispatch, after Inngest took the event", sent(),
		tap.Fault{At: tap.AtEvent, Do: tap.HoldAnswer}, before(fetchDetails, "")),
}

var appDeliveryRows = []row{
	appKilled("app killed between acceptance and saving", sentTwice(), acceptedUnheard()),
	appKilled("app killed in a delivery, before acceptance", sent(), tap.Fault{At: tap.AtDot, Do: tap.Hold}),
	{fault: "app frozen between acceptance and saving, then going on", promise: sent(), happen: func(s *scene) {
		hold := s.inject(acceptedUnheard())
		s.create(s.draft())
		s.reached(hold)
		s.freeze(harness.ServiceApp)
		hold.Release()
		s.thaw(harness.ServiceApp)
	}},
}
