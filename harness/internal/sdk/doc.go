// Package sdk is the protocol between the Inngest server and an SDK, as specified in docs/SDK_SPEC.md of
// github.com/inngest/inngest and spoken by the server v1.43.0: calls and their answers, opcodes, checkpoints,
// registrations, headers, signatures and the forms of ids. It reads and writes messages and holds no state.
//
// Attempts count from 1 here and everywhere else; only the encoding of [CallContext] counts from 0, as the wire does.
package sdk
