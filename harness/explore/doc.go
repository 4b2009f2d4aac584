// Package explore lets every fault that can happen to a function happen, one schedule at a time, and judges the same
// [harness.Expectation] after each.
//
// A run without faults shows the hops that the function passes: calls and their answers, steps, checkpoints, events that it
// sends, and the stages of each SMTP session. At each hop some faults can happen; table.go lists which. A [Schedule] is a set of
// faults, each at its hop. [Explore] runs all schedules of one fault, then as many of two and more as its budget allows: first
// those that begin in a state which no schedule before has reached. For each kind of violation it reports the shortest
// schedule that shows it, which [Replay] runs again.
//
//	result, err := explore.Explore(ctx, explore.InProcess(app, simstack.WorkbenchOptions{}), explore.Options{
//		Send:   []harness.Event{{Name: "shop/order.paid", Data: map[string]any{"order": 7}}},
//		Expect: harness.Expectation{Runs: […], Mail: […]},
//	})
//	fmt.Println(result)
//
// What faults allow is said by [Options].AllowCopies and AllowFailed. Without them every copy of an email must carry the same
// Message-ID, there is a copy only where the acceptance of the one before could not be recorded, and a run fails only where
// a fault is permanent, or left it no attempt.
//
// Three files hold the parts that have no clock and do no I/O: hop.go (which hops exchanges have passed), table.go (what can
// happen at them) and allow.go (the judgement). run.go runs one schedule, explore.go chooses them, and a target (inprocess.go,
// program.go) is where they run.
package explore
