// Package attach is the backend that uses servers which run already. It starts none, stops none, and deletes nothing.
//
//	stack, err := stack.Start(ctx, attach.New(attach.Options{}), stack.Options{})
//
// It takes the servers from, in this order: [Options].Endpoints; the `harness up` in [Options].Dir; the variables HARNESS_INNGEST_URL, HARNESS_MAIL_URL,
// HARNESS_SMTP_ADDR and HARNESS_MONGO_URI, with the keys in INNGEST_EVENT_KEY and INNGEST_SIGNING_KEY; the Docker Compose project that [Options].Project or
// HARNESS_COMPOSE_PROJECT names; the `harness up` in the directory HARNESS_STACK; and that which runs here or in a directory
// above.
// Where the last two have an app, the stack uses that one.
//
// Servers that are not on this machine's loopback interface are refused, since tests send mail and events there and
// write to the database; HARNESS_ALLOW_REMOTE=1 allows them.
package attach
