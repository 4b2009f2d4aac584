// Package judge compares an [harness.Expectation] with a [harness.Trace] and names the first broken hop on the way from
// event to email.
//
// [Judge] judges a trace that is complete. Callers that wait for a trace to become complete use [Compare] again and
// again and ask the [Judgement] whether it is settled.
package judge
