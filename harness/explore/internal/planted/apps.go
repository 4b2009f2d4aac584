package planted

import (
	"context"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// An App is an app with a defect, and its twin without it. Without a fault both do the same.
type App struct {
	Name string
	// Defect says what is wrong in Broken.
	Defect        string
	Broken, Right stack.HandlerFunc
	// Send are the events: the first, and of some apps a second one, which comes when nothing is left to do without letting
	// time pass.
	Send []harness.Event
	// Expect is what the first event must have led to.
	Expect harness.Expectation
	// Invariant returns an error if what the app has stored must not be. Nil: there is none.
	Invariant func(context.Context, harness.Env) error
}

// Apps returns all apps.
func Apps() []App {
	return []App{
		effectOutsideStep, newMessageID, eventWithoutID, recordAfterSend, swallowedFailure, twoEmailsInOneStep,
		randomOutsideStep, oneIDForTwoSteps, earlyEvent, checkThenAct, failureHandler, halfCancelled,
	}
}

// Named returns the app with a name.
func Named(name string) (App, bool) {
	i := slices.IndexFunc(Apps(), func(a App) bool { return a.Name == name })
	if i < 0 {
		return App{}, false
	}
	return Apps()[i], true
}

// An order is the data of most events.
type order struct {
	Order string `json:"order"`
	To    string `json:"to"`
}

// placed is the event of most apps.
var placed = harness.Event{Name: "order/placed", Data: order{Order: "7", To: kim}}

// sent expects one email.
func sent(to, subject string) harness.MailExpectation {
	return harness.MailExpectation{To: to, Subject: harness.Equals(subject)}
}

// ended expects a run.
func ended(function string, s harness.Status) harness.RunExpectation {
	return harness.RunExpectation{Function: function, Status: s}
}
