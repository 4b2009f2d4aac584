// Package config reads the environment into a validated Config. It reports all problems at once, each with the name of
// its variable and without values that may be secret.
//
// INNGEST_DEV selects the mode. If it is set, to 1 or to the dev server's URL, the app runs in development mode: every
// variable has a default, unsigned calls are accepted, and a .env file in the working directory provides variables that
// the environment leaves unset. Otherwise the app runs in production mode: keys, token and addresses are required, and
// no .env file is read.
//
// The SDK itself reads one more variable, which is rarely needed: INNGEST_ENV (branch environments). Table documents every
// other variable.
package config
