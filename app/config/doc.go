// Package config turns the environment into a validated Config. All problems are reported at once, each with the name
// of its variable; none repeats a secret.
//
// INNGEST_DEV decides the mode. Set, to 1 or to the dev server's URL, it is development: everything has a default,
// unsigned calls are trusted, and a .env file in the working directory fills in what the environment leaves unset.
// Unset, it is production: keys, token and addresses must be given, and no .env file is read.
//
// Table lists every variable with its meaning; documentation is checked against it.
package config
