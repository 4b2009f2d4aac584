package harness_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestEnviron_SetsTheModeOfTheApp(t *testing.T) {
	t.Parallel()
	env := harness.Env{Addr: "127.0.0.1:1", AppURL: "http://127.0.0.1:2", InngestURL: "http://127.0.0.1:3", EventKey: "e", SMTPAddr: "127.0.0.1:4"}
	development := env.Environ()
	require.Subset(t, development, []string{"INNGEST_DEV=http://127.0.0.1:3", "INNGEST_SIGNING_KEY=", "PORT=1"})
	require.NotContains(t, development, "SERVE_URL=http://127.0.0.1:2")

	env.SigningKey = "ab"
	require.Subset(t, env.Environ(), []string{
		"HOST=127.0.0.1", "INNGEST_DEV=", "INNGEST_BASE_URL=http://127.0.0.1:3", "INNGEST_EVENT_KEY=e", "INNGEST_SIGNING_KEY=ab", "INNGEST_SIGNING_KEY_FALLBACK=",
		"APP_URL=http://127.0.0.1:2", "SERVE_URL=http://127.0.0.1:2", "INNGEST_SERVE_HOST=http://127.0.0.1:2", "INNGEST_SERVE_ORIGIN=http://127.0.0.1:2",
	})
}
