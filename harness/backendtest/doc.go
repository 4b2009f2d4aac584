// Package backendtest is the suite that every [harness.Backend] passes. It holds them all to the same words, so that
// no test that runs on one of them has to know which.
//
//	func TestMain(m *testing.M) { backendtest.Main(m) }
//
//	func TestBackend(t *testing.T) {
//		backendtest.Run(t, func(testing.TB) harness.Backend { return local.New(local.Options{}) }, backendtest.Caps{…})
//	}
//
// It works the backend through a [stack.Stack] with a small app of its own: event in, email out.
package backendtest
