package containers

import (
	"os"
	"strings"
)

// bootID is another one each time the system starts.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// pidNamespace tells containers apart, whose processes are numbered each from one, and which may share a host's name.
func pidNamespace() string {
	ns, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return " " + ns
}
