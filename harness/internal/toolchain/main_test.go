package toolchain_test

import (
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment looks up only the named variables of this process, so that other settings of the user have no influence.
func environment(keys ...string) func(string) (string, bool) {
	return func(key string) (string, bool) {
		if slices.Contains(keys, key) {
			return os.LookupEnv(key)
		}
		return "", false
	}
}
