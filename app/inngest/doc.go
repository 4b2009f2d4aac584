// Package inngest configures the Inngest SDK for this app: one client that sends events and serves the functions of
// package functions below it.
//
// Three things are decided here because the SDK alone would decide them otherwise. Where events, registrations and
// checkpoints go is said once and for all of them, so that in a self-hosted setup nothing goes to the cloud, signing
// key included. Development mode is an explicit choice: the SDK takes any INNGEST_DEV, even 0, for it. And a stop ends
// the sending of events, which in the SDK retries for seconds whatever its context says.
//
// The protocol is specified in docs/SDK_SPEC.md of https://github.com/inngest/inngest.
package inngest
