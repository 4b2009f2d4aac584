package faults_test

import (
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// before is the moment at which a step is about to begin; after is the step before it, if any.
func before(step, after string) tap.Fault {
	return tap.Fault{At: tap.AtStep, Do: tap.Hold, Function: notify, Step: step, After: after}
}

// unsaved is the moment at which a step has ended and its result has not reached Inngest.
func unsaved(step string) tap.Fault {
	return tap.Fault{At: tap.AtStep, Do: tap.HoldAnswer, Function: notify, Step: step}
}

// acceptedUnreported is the moment at which the mail server has accepted the email and the reply has not reached the app.
func acceptedUnreported() tap.Fault { return tap.Fault{At: tap.AtDot, Do: tap.HoldAnswer} }

// callFailed reports whether a call of the function was answered with an error, of a step or of the function.
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
	{fault: "MongoDB frozen before send-email, then going on", promise: sent(), happen: func(e *env) {
		hold := e.inject(before(sendEmail, getTechnician))
		e.create(e.draft())
		e.waitReached(hold)
		e.pause(harness.ServiceMongo)
		hold.Release()
		e.waitNotReady()
		e.resume(harness.ServiceMongo)
	}},
}

var inngestRows = []row{
	{fault: "Inngest down when a request is created, then back", promise: sent(), happen: func(e *env) {
		e.kill(harness.ServiceInngest)
		e.create(e.draft())
		e.waitFor("a failed dispatch", e.began, func(c tap.Exchange) bool {
			return c.Dispatch != nil && c.Over() && c.Err != ""
		})
		e.start(harness.ServiceInngest)
	}},
	stateLost("Inngest killed before the run's first step, state lost", before(fetchDetails, "")),
	stateLost("Inngest killed before send-email, state lost", before(sendEmail, getTechnician)),
	stateLost("Inngest killed between acceptance and saving, state lost", acceptedUnreported()),
	stateLost("Inngest killed before it saved send-email, state lost", unsaved(sendEmail)),
	{fault: "Inngest frozen before send-email, then going on", promise: sent(), happen: func(e *env) {
		hold := e.inject(before(sendEmail, getTechnician))
		e.create(e.draft())
		e.waitReached(hold)
		e.pause(harness.ServiceInngest)
		hold.Release()
		e.waitFor("the email, sent without Inngest", e.began, func(c tap.Exchange) bool { return c.Mail != nil && c.Mail.Accepted })
		e.resume(harness.ServiceInngest)
	}},
}

// stateLost is a row in which Inngest is killed at a point, and starts again without its state.
func stateLost(fault string, at tap.Fault) row {
	return row{fault: fault, promise: sent(), happen: func(e *env) {
		hold := e.inject(at)
		e.create(e.draft())
		e.waitReached(hold)
		e.kill(harness.ServiceInngest)
		hold.Release()
		e.start(harness.ServiceInngest)
	}}
}

var appRows = []row{
	{fault: "app frozen between acceptance and saving, then going on", promise: sent(), happen: func(e *env) {
		hold := e.inject(acceptedUnreported())
		e.create(e.draft())
		e.waitReached(hold)
		e.pause(harness.ServiceApp)
		hold.Release()
		e.resume(harness.ServiceApp)
	}},
}
