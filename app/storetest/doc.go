// Package storetest holds what every app.Store must do: Run is the conformance suite, Memory the reference Store
// that passes it and that tests use where no database is needed.
//
//	storetest.Run(t, func(t testing.TB) app.Store { return mongostoreOnEmptyDatabase(t) })
package storetest
