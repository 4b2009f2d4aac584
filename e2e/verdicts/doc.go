// Package verdicts has one table of cases with the verdicts that they must get on every surface: the real server, sim with
// the wall clock and with the jumping one, and the workbench. The cases are about runs: what has ended, what may still
// happen, and what will never start.
package verdicts
