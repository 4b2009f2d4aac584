// Package harness runs an application that serves Inngest functions against real servers and judges what it did.
//
// It works with four nouns. A [Stack] is where it runs: MongoDB, MailHog and an Inngest server, started by a
// [Backend], plus the app. A [Trace] is what happened after one event: its runs, their steps and attempts, the
// emails they sent. An [Expectation] is what should have happened. A [Verdict] is the one held against the other: it
// holds, it is broken, naming the first broken hop on the way from event to email, or it cannot be judged.
//
//	stack, err := harness.Start(ctx, local.New(local.Options{}), harness.Options{})
//	if err != nil { … }
//	defer stack.Close(context.Background())
//
//	err = stack.RunHandler(ctx, func(ctx context.Context, env harness.Env) (http.Handler, error) { … })
//	ids, err := stack.Send(ctx, harness.Event{Name: "maintenance/request.created", Data: …})
//	verdict, err := stack.Judge(ctx, ids[0], harness.Expectation{
//		Runs: []harness.RunExpectation{{Function: "send-request-notification", Status: "COMPLETED"}},
//		Mail: []harness.MailExpectation{{To: "kim@plant.test", Copies: 1}},
//		NoOtherMail: true,
//	}, harness.JudgeOptions{})
//
// Tests use the front in package harnesstest, which does all of this for a testing.TB; the command in cmd/harness
// does it for a shell. Backends are packages of their own (local, containers, attach): this one links none of them.
package harness
