// Package conformance holds package sim to the real server: every scenario of its table is played on both, and what the
// app was asked and what became of its runs must be the same.
//
// The real server is found, or built, by the harness's toolchain. Scenarios that need time take the least that the server
// allows: retries come after 1 s, schedules after a minute.
package conformance
