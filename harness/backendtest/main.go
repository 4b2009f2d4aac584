package backendtest

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package that has a backend, and fails when they leave a goroutine behind. It does not
// return. Connections of the SDK are excepted: it never closes the answer to a registration.
func Main(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
