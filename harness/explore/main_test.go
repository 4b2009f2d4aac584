package explore_test

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	// The SDK has a logger of its own, which would warn of every fault.
	_ = os.Setenv("LOG_LEVEL", "error")
	os.Exit(m.Run())
}
