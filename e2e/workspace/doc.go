// Package workspace holds the tests of this repository's rules that no compiler checks: which package may import which,
// package comments, agreeing versions, and documents whose commands work.
package workspace
