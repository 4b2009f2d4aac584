// Package functions tests the app's durable functions: every branch of them, each as one row of a table with an expectation.
// The app has its store in memory. By default the rows are played on sim, in this process, where a whole ladder of retries
// takes milliseconds; TestOnAServer plays the same rows on the real Inngest server.
package functions
