package trial_test

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	"example.test/trial"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
)

var suite = harnesstest.New(harnesstest.Options{
	Backends: []harness.Backend{simstack.New(local.New(local.Options{}), simstack.Options{})},
	Fixed:    true, // time can be skipped on sim alone
	Handler: func(_ context.Context, env harness.Env) (http.Handler, error) {
		return trial.New(trial.Config{InngestURL: env.InngestURL, EventKey: env.EventKey, SMTPAddr: env.SMTPAddr})
	},
})

func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }

func TestRemind_WritesTwoDaysBeforeTheEnd(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		kim := t.Salt() + "@plant.test"
		event := t.Send(harness.Event{Name: "trial/started", Data: map[string]any{"email": kim}})
		skip(t, event, 12*24*time.Hour)
		t.Expect(event, harness.Expectation{
			Runs:        []harness.RunExpectation{{Function: "remind", Status: harness.StatusCompleted}},
			Mail:        []harness.MailExpectation{{To: kim, Subject: harness.Equals("Your trial ends in two days")}},
			NoOtherMail: true,
		})
	})
}

func TestRemind_WritesNothingToSubscriber(t *testing.T) {
	suite.Run(t, func(t *harnesstest.T) {
		kim := t.Salt() + "@plant.test"
		event := t.Send(harness.Event{Name: "trial/started", Data: map[string]any{"email": kim}})
		skip(t, event, 24*time.Hour)
		t.Send(harness.Event{Name: "user/subscribed", Data: map[string]any{"email": kim}})
		t.Expect(event, harness.Expectation{
			Runs: []harness.RunExpectation{{Function: "remind", Status: harness.StatusCancelled}},
			Mail: []harness.MailExpectation{{To: kim, Absent: true}},
		})
	})
}

// skip lets time pass for what one event leads to alone.
func skip(t *harnesstest.T, event string, by time.Duration) {
	if _, err := sim.Skip(t.Context(), t.Stack.Endpoints().Inngest, sim.Skipping{By: by, Event: event}); err != nil {
		t.Fatal(err)
	}
}
