// Package production tests the notification app in production mode on a self-hosted Inngest server (inngest start), as
// docs/production.md tells to run it: keys are checked, and the app registers itself.
package production
