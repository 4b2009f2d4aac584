// Package containers is the backend that runs the servers in containers: MongoDB itself, MailHog and the Inngest dev
// server from their official images, by way of testcontainers-go.
//
//	stack, err := stack.Start(ctx, containers.New(containers.Options{}), stack.Options{})
//
// HARNESS_IMAGE_MONGO, HARNESS_IMAGE_MAILHOG and HARNESS_IMAGE_INNGEST, or [Options], name other images; the command in
// cmd/images makes some from source. Each stack has a network of its own and publishes its ports on loopback alone. The
// app stays on this machine's loopback; [bridge] tells how Inngest reaches it from its container.
//
// Nothing outlives a stack. What a killed process left behind is known by its labels, which name that process, and is
// removed at the next start. testcontainers' own reaper does it at once where its image is here and the variable
// TESTCONTAINERS_RYUK_DISABLED does not forbid it.
//
// [bridge]: https://pkg.go.dev/github.com/odoo-maintenance/inngest-harness/harness/internal/bridge
package containers
