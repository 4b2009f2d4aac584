// Package backendtest is the suite that every [harness.Backend] passes, so that a test that runs on one of them need not know
// which.
//
//	func TestMain(m *testing.M) { backendtest.Main(m) }
//
//	func TestBackend(t *testing.T) {
//		backendtest.Run(t, func(testing.TB) harness.Backend { return local.New(local.Options{}) }, backendtest.Caps{…})
//	}
//
// It tests the backend through a [stack.Stack] with a small app of its own: event in, email out.
package backendtest
