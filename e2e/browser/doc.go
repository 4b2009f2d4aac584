// Package browser holds the tests of the pages of MailHog, the app and the dashboard in headless Chromium. They have a
// build tag, so that the other tests need no browser:
//
//	go test -tags browser ./e2e/browser
//
// Without Chromium they fail with what to install. A report (HARNESS_REPORT) gets pictures for a person to judge: an email at both widths and in both colour schemes, the dashboard at three widths.
package browser
