// Package config turns the environment into a validated Config. All problems are reported at once, each with the name
// of its variable; none repeats a secret.
//
// INNGEST_DEV decides the mode. Set, to 1 or to the dev server's URL, it is development: everything has a default,
// unsigned calls are trusted, and a .env file in the working directory fills in what the environment leaves unset.
// Unset, it is production: keys, token and addresses must be given, and no .env file is read.
//
// The SDK reads three more by itself, all rarely needed: INNGEST_ENV (branch environments), INNGEST_SERVE_HOST and
// INNGEST_SERVE_PATH (where Inngest reaches the functions, if not at the Host of the call that registers them).
//
// Table lists every other variable with its meaning; documentation is checked against it.
package config
