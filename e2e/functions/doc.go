// Package functions tests the app's durable functions: every branch of them, each as one row of a table with an expectation.
// The app has its store in memory. By default the rows run on sim, in this process, where a whole ladder of retries
// takes milliseconds; TestFunction_OnAServer runs the same rows on the real Inngest server.
package functions
