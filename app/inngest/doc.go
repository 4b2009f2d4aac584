// Package inngest configures the Inngest SDK for this app: one client that sends events and serves the functions of
// package functions below it.
//
// It overrides defaults of the SDK:
//
//   - Events, registrations and checkpoints all go to the configured URLs. The SDK would send checkpoints, with the
//     signing key, to Inngest Cloud even in a self-hosted setup.
//   - Development mode is an explicit option. The SDK enables it for any value of INNGEST_DEV, even 0.
//   - A lost connection (Connect) is made again until the app stops; the SDK gives up after five attempts. A stop waits for
//     running calls; the SDK waits for five seconds.
//   - A stop ends pending sends of events. The SDK ignores the context and retries for seconds.
//
// The protocol is specified in docs/SDK_SPEC.md of https://github.com/inngest/inngest.
package inngest
