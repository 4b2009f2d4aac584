// Package property holds the property of verdicts: whatever an app does, no verdict contradicts what the app itself says
// that it did.
//
// Its tests make small random apps (app_test.go says what an app is, generate_test.go draws one) and run them on sim, on
// the Workbench and on the real server (places_test.go). The handlers write down in memory what they do (play_test.go):
// which event started a run, which step was tried how often, which emails and events left. From this account alone
// oracle_test.go says what is true, and truth_test.go whether an expectation is. The harness's own traces have no part in
// it. questions_test.go makes expectations that are true, and ones that are nearly true; property_test.go asks them while
// the app works and after its end.
package property
