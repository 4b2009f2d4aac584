// Package local is the backend that runs the servers as processes of this machine. It needs no Docker: MailHog, the
// Inngest dev server and FerretDB, which stands in for MongoDB, are built once from their pinned Go modules into the
// user's cache. INNGEST_BIN, MAILHOG_BIN and MONGOD_BIN name other programs, the last one a real MongoDB.
//
//	stack, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{})
//
// Everything listens on loopback alone, but for three ports of the Inngest server that serve its Connect feature,
// which its version 1.43.0 opens on all interfaces.
package local
