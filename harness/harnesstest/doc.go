// Package harnesstest is the front of the harness for `go test`.
//
// A [Suite] says on which backends a package's tests run and which app they test. Its tests share one stack per
// backend, started when the first of them needs it, and run in parallel on it; they are kept apart by construction,
// because each makes its own records and recipients ([T.Salt]) and its verdicts look only at what descends from its
// own events. A test that breaks things asks for a stack of its own.
//
//	var suite = harnesstest.New(harnesstest.Options{
//		Backends: []harness.Backend{local.New(local.Options{})},
//		Handler:  func(ctx context.Context, env harness.Env) (http.Handler, error) { … },
//	})
//
//	func TestMain(m *testing.M) { os.Exit(suite.Main(m)) }
//
//	func TestWelcome(t *testing.T) {
//		suite.Run(t, func(t *harnesstest.T) {
//			kim := t.Salt() + "@plant.test"
//			t.SendAndExpect(
//				harness.Event{Name: "user/created", Data: map[string]any{"email": kim}},
//				harness.Expectation{
//					Runs: []harness.RunExpectation{{Function: "welcome", Status: harness.StatusCompleted}},
//					Mail: []harness.MailExpectation{{To: kim, Copies: 1}},
//				})
//		})
//	}
//
// A failed test keeps its evidence (the verdict, the trace, the emails, the servers' logs) and says where. With
// HARNESS_REPORT set to the absolute path of a directory every test leaves a record there, and the page of them all is
// in it (package report).
package harnesstest
