// Package local is the backend that runs the servers as processes of this machine. It needs no Docker: MailHog, the
// Inngest dev server and FerretDB, which stands in for MongoDB, are built once from their pinned Go modules into the
// user's cache. INNGEST_BIN, MAILHOG_BIN, MAILPIT_BIN and MONGOD_BIN name other programs, the last one a real MongoDB.
//
//	stack, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
//
// Everything listens on loopback alone, but for the three ports of Connect of an Inngest server that the harness has not
// built: the published version 1.43.0 opens them on all interfaces.
package local
