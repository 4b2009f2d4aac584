// Package dashboard shows in a browser, live, what happens on a stack: every event with the runs it starts, their steps
// and the emails they send; the state and the log of each service; whether the app is synced, and why not.
//
//	d, err := dashboard.New(stack, dashboard.Options{Samples: samples})
//	defer d.Close(ctx)
//	server := &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second}
//	go server.Serve(loopbackListener)
//
// Server-sent events bring to the page what the taps and the inbox push, within milliseconds. On news of an event, its
// trace ([stack.Stack.Trace]) is taken, which is authoritative.
//
// It can send events and empty the inbox, and it shows text from untrusted senders. So it answers only requests from
// loopback addresses for loopback names (a foreign name may resolve to this machine), changes state only by POST from its
// own pages, allows its pages only their own scripts, and draws emails by means of package mailview.
package dashboard
