// Package report writes a page about what tests saw: every test with its verdicts and traces, every email beside its
// golden with the differences of its text, the fault matrix and the measurements.
//
// Tests leave records in a directory, whichever package and process they run in, and Write joins them:
//
//	HARNESS_REPORT=$PWD/report go test ./...
//
//	report/report.html   the page: one file, no script, opens from disk, attaches to a CI run
//	report/junit.xml     for CI systems: https://github.com/testmoapp/junitxml describes the format
//	report/summary.md    for a pull request or $GITHUB_STEP_SUMMARY
//	report/record-*.json what they are made of, one file for each test on each backend
//
// A test that runs again replaces its record; those of tests that are no more stay until [Clear] removes them.
//
// Package harnesstest does both for its tests. Something else that judges emails saves records of its own:
//
//	golden, err := report.Compare(set, "corrective", &verdict.Trace.Mail[0])
//	err = report.Save(dir, report.Record{Package: "review", Test: "corrective", Verdicts: …, Goldens: …})
//	rep, err := report.Write(dir)
//
// Beside the records, faults.json and bench.json in the directory become tables with plots, as [Fault] and [Figure]
// say; further files are named like faults-containers.json.
//
// Captured mail is hostile input. Its HTML is rebuilt by package mailview, stands in frames that may do nothing, and
// the page's own policy lets nothing run and nothing be loaded, from wherever it is opened.
package report
