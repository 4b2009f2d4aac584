// Package storetest holds Run, the conformance suite of every app.Store, and Memory, a Store in memory that passes the
// suite and that tests use where they need no database.
//
//	storetest.Run(t, func(t testing.TB) app.Store { return mongostoreOnEmptyDatabase(t) })
package storetest
