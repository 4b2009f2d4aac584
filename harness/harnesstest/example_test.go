package harnesstest_test

import (
	"context"
	"net/http"
	"os"
	"testing"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/harnesstest"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/sim/simstack"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// The suite is a variable of the package, and its Main is called by TestMain.
func ExampleNew() {
	suite := harnesstest.New(harnesstest.Options{
		Backends: []harness.Backend{local.New(local.Options{})},
		Handler: func(ctx context.Context, env harness.Env) (http.Handler, error) {
			mux := http.NewServeMux() // your app, which serves its Inngest functions at /api/inngest
			return mux, nil
		},
	})

	m := new(testing.M) // TestMain's
	os.Exit(suite.Main(m))
}

// One event, and what is to follow from it.
func ExampleSuite_Run() {
	t := new(testing.T) // the test's

	suite.Run(t, func(t *harnesstest.T) {
		kim := t.Salt() + "@plant.test" // an address of this test alone
		t.SendAndExpect(
			harness.Event{Name: "user/created", Data: map[string]any{"email": kim}},
			harness.Expectation{
				Runs:        []harness.RunExpectation{{Function: "welcome", Status: harness.StatusCompleted}},
				Mail:        []harness.MailExpectation{{To: kim, Text: harness.Contains("Hello"), Copies: 1}},
				NoOtherMail: true,
			})
	})
}

// The mail server is busy twice: the email arrives all the same, and once.
func ExampleSuite_RunAlone() {
	t := new(testing.T) // the test's

	suite.RunAlone(t, nil, func(t *harnesstest.T) {
		kim := t.Salt() + "@plant.test"
		t.Inject(tap.Fault{At: tap.AtRCPT, To: kim, Do: tap.Reply, Code: 451, Times: 2})
		t.SendAndExpect(
			harness.Event{Name: "user/created", Data: map[string]any{"email": kim}},
			harness.Expectation{Mail: []harness.MailExpectation{{To: kim, Copies: 1}}})
	})
}

// Every fault at every hop of a function, and a schedule that once showed a defect.
func ExampleExplore() {
	t := new(testing.T) // the test's

	app := explore.InProcess(newApp, simstack.WorkbenchOptions{})
	harnesstest.Explore(t, app, explore.Options{
		Send: []harness.Event{{Name: "order/placed", Data: map[string]any{"id": 7, "email": "kim@shop.test"}}},
		Expect: harness.Expectation{
			Runs: []harness.RunExpectation{{Function: "confirm", Status: harness.StatusCompleted}},
			Mail: []harness.MailExpectation{{To: "kim@shop.test"}},
		},
	})
	harnesstest.Replay(t, app, "testdata/reply-lost.json", 20, explore.Options{})
}
