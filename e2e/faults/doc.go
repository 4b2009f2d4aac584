// Package faults holds the fault matrix: it runs the app as a program on real servers, makes each fault happen, and checks
// what is promised in every case.
//
//   - Every request that the API accepted ends sent or, for a permanent cause, failed with a reason a person can read.
//   - All emails of one request that the mail server accepts carry one Message-ID.
//   - There is a second copy only where the acceptance of the first could not be recorded for good.
//   - The next request after the fault goes through.
//
// Each row of the matrix is a subtest of TestFaultMatrix. A fault on the wire is a [tap.Fault], matched by recipient
// or by event so that rows can share a stack; a fault of a service happens while the tap holds the wire at the point
// that the row names, so that there is no race between the two.
//
// With -v or HARNESS_TABLE=1 the run ends with the matrix as a table (without -v, go test shows it only where it is run
// in this directory, as `make faults` does); with HARNESS_REPORT=DIR it is in DIR/faults.json and in the report
// there too. FAULTS_BURST is the number of requests in the burst, 100 by default, and FAULTS_SEED chooses which of them
// meet a fault.
//
// [tap.Fault]: https://pkg.go.dev/github.com/odoo-maintenance/inngest-harness/harness/tap#Fault
package faults
