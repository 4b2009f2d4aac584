package harness_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
)

// A stack with an app on it, an event, and the verdict on what followed. Tests have package harnesstest do all of this.
func Example() {
	ctx := context.Background()
	stack, err := harness.Start(ctx, local.New(local.Options{}), harness.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = stack.Close(ctx) }()

	err = stack.RunHandler(ctx, func(ctx context.Context, env harness.Env) (http.Handler, error) {
		mux := http.NewServeMux() // your app, which serves its Inngest functions at /api/inngest
		return mux, nil
	})
	if err != nil {
		log.Print(err)
		return
	}
	ids, err := stack.Send(ctx, harness.Event{Name: "user/created", Data: map[string]any{"email": "kim@plant.test"}})
	if err != nil {
		log.Print(err)
		return
	}
	verdict, err := stack.Judge(ctx, ids[0], harness.Expectation{
		Runs: []harness.RunExpectation{{Function: "welcome", Status: harness.StatusCompleted}},
		Mail: []harness.MailExpectation{{To: "kim@plant.test", Copies: 1}},
	}, harness.JudgeOptions{})
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(verdict)
}

// An expectation in JSON, as the command line and other languages have it. A field that it does not know is an error.
func ExampleParseExpectation() {
	_, err := harness.ParseExpectation([]byte(`{"emails": [{"to": "kim@plant.test"}]}`))
	fmt.Println(err)
	// Output: expectation: unknown field "emails": the fields are runs, mail, noOtherRuns and noOtherMail; see docs/writing-tests.md
}
