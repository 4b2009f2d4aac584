package stack_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// A stack with an app on it, an event, and the verdict on what followed. Tests have package harnesstest do all of this.
func Example() {
	ctx := context.Background()
	st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = st.Close(ctx) }()

	err = st.RunHandler(ctx, func(ctx context.Context, env harness.Env) (http.Handler, error) {
		mux := http.NewServeMux() // your app, which serves its Inngest functions at /api/inngest
		return mux, nil
	})
	if err != nil {
		log.Print(err)
		return
	}
	ids, err := st.Send(ctx, harness.Event{Name: "user/created", Data: map[string]any{"email": "kim@plant.test"}})
	if err != nil {
		log.Print(err)
		return
	}
	verdict, err := st.Judge(ctx, ids[0], harness.Expectation{
		Runs: []harness.RunExpectation{{Function: "welcome", Status: harness.StatusCompleted}},
		Mail: []harness.MailExpectation{{To: "kim@plant.test", Copies: 1}},
	}, stack.JudgeOptions{})
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
	// Output: expectation: unknown field "emails": did you mean "mail"? the fields there are runs, mail, noOtherRuns, noOtherMail; `harness schema expectation` describes all fields
}
