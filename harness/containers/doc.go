// Package containers is the backend that runs the servers in containers: MongoDB itself, MailHog and the Inngest dev
// server from their official images, by way of testcontainers-go.
//
//	stack, err := stack.Start(ctx, containers.New(containers.Options{}), stack.Options{})
//
// HARNESS_IMAGE_MONGO, HARNESS_IMAGE_MAILHOG, HARNESS_IMAGE_MAILPIT and HARNESS_IMAGE_INNGEST, or [Options], name other images; the command in
// cmd/images makes some from source. They are in the engine's default network, and publish their ports on loopback alone. The
// app stays on this machine's loopback; [bridge] says how Inngest reaches it from its container.
//
// Nothing outlives a stack. What a killed process left behind is recognised by its labels, which name that process, and is
// removed at the next start. testcontainers' own reaper removes it at once; TESTCONTAINERS_RYUK_DISABLED=true does without it,
// which is needed where its image is not on the machine and cannot be pulled. The other settings of testcontainers
// ([configuration]) apply too: a program that runs in a container itself, beside its engine, and that uses the reaper, needs
// TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1.
//
// [bridge]: https://pkg.go.dev/github.com/odoo-maintenance/inngest-harness/harness/internal/bridge
// [configuration]: https://golang.testcontainers.org/features/configuration/
package containers
