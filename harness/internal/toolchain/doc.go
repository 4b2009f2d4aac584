// Package toolchain finds the servers that a local stack is made of, and builds the ones that are missing.
//
//	bin, err := toolchain.Ensure(ctx, toolchain.Inngest, toolchain.Options{Progress: show})
//
// A server comes from the first of these that exists:
//
//   - the program that INNGEST_BIN, MAILHOG_BIN or MONGOD_BIN (a real mongod) names;
//   - for Inngest, an installed inngest or inngest-cli of at least the pinned version, since releases have the web
//     page that a build from the module lacks; not when HARNESS_IGNORE_INSTALLED is 1;
//   - the cache of earlier builds;
//   - a build of the pinned version (package tools) from its Go modules into the cache. It needs the go command and,
//     until the modules are in the module cache, a module proxy; no C compiler.
//
// The cache is inngest-harness in the user's cache folder, or HARNESS_CACHE. A build is named after all its inputs, so several
// versions of the harness share the cache. Processes that need the same server at the same time build it once; an interrupted
// build is never used.
package toolchain
