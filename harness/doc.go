// Package harness defines the terms in which the harness runs an application that serves Inngest functions and judges what
// it did. It does no I/O: other packages produce and use these values.
//
//   - A [Backend] starts [Servers]: a database, a mail catcher and an Inngest server. Package stack adds the app and the
//     recording proxies, and package harnesstest runs all of it in go test.
//   - An [Event] is sent. A [Trace] is what happened after it: the runs, their steps and attempts, the emails.
//   - An [Expectation] says what should have happened. A zero field asserts nothing.
//   - A [Verdict] is the result of comparing them (package judge): the expectation holds, is broken at a hop that the
//     verdict names, or cannot be judged.
//
// Backends are packages of their own (local, containers, attach, sim/simstack); this package imports none of them.
package harness
