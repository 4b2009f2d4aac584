// Package stack starts servers and an app, sends events, and judges what follows from them.
//
//	s, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
//	if err != nil { … }
//	defer s.Close(context.Background())
//
//	err = s.RunHandler(ctx, func(ctx context.Context, env harness.Env) (http.Handler, error) { … })
//	ids, err := s.Send(ctx, harness.Event{Name: "maintenance/request.created", Data: …})
//	verdict, err := s.Judge(ctx, ids[0], harness.Expectation{
//		Runs: []harness.RunExpectation{{Function: "send-request-notification", Status: harness.StatusCompleted}},
//		Mail: []harness.MailExpectation{{To: "kim@plant.test", Copies: 1}},
//		NoOtherMail: true,
//	}, stack.JudgeOptions{})
//
// Recording proxies (package tap) stand on the wires between the app, Inngest and the mail server. They make traces
// arrive without polling, and they run scripted faults. Tests use package harnesstest, which does all of this for a
// testing.TB.
package stack
