// Package browser holds the tests that look at pages in headless Chromium: MailHog's, the app's and the dashboard's.
// They are behind a build tag, so that the other tests need no browser:
//
//	go test -tags browser ./e2e/browser
//
// Where there is no Chromium they fail, and say what to install. Where a report is wanted (HARNESS_REPORT) it has pictures
// for a person to judge: an email at both widths and in both colour schemes, the dashboard at three widths.
package browser
