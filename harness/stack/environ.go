package stack

import (
	"os"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// environ returns the environment of a program that the stack starts: that of this process, then e's variables, then
// extra. Later values win. Variables that would direct the app to another Inngest server are left out.
func environ(e harness.Env, extra []string) []string {
	set := append(e.Environ(), extra...)
	overridden := map[string]bool{
		"INNGEST_API_BASE_URL": true, "INNGEST_EVENT_API_BASE_URL": true, "INNGEST_ENV": true,
		"INNGEST_SERVE_HOST": true, "INNGEST_SERVE_PATH": true, "INNGEST_SERVE_ORIGIN": true,
		"INNGEST_CONNECT": true, "INNGEST_CONNECT_GATEWAY_URL": true, "INNGEST_ENABLE_UNAUTHED_SYNC": true,
	}
	for _, v := range set {
		overridden[envKey(v)] = true
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return overridden[envKey(v)] })
	return append(env, set...)
}

func envKey(v string) string {
	key, _, _ := strings.Cut(v, "=")
	return key
}
