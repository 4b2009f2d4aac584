// Package e2e tests the notification app end to end: events through the real Inngest server, data in a real database,
// emails in the real MailHog. Its tests run on every backend that HARNESS_BACKENDS names: if it names none, on processes of
// this machine, and with sim in the place of the Inngest server.
package e2e
