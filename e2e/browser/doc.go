// Package browser holds the tests that look at pages in headless Chromium: MailHog's, the app's and the dashboard's.
// They are behind a build tag, so that the other tests need no browser:
//
//	go test -tags browser ./e2e/browser
//
// Where there is no Chromium they fail, and say what to install. Set HARNESS_SCREENSHOTS to a directory to keep pictures
// of the dashboard, at three widths and in both colour schemes, for a person to judge.
package browser
