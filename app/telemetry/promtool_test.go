//go:build promtool

package telemetry_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// promtool runs Prometheus's own tool in a directory.
func promtool(t *testing.T, dir string, args ...string) (string, error) {
	tool, err := exec.LookPath("promtool")
	require.NoError(t, err, "promtool is missing: install Debian's package prometheus (--no-install-recommends), and stop the service that it starts")
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAlerts_PassPromtool(t *testing.T) {
	t.Parallel()
	out, err := promtool(t, ".", "check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")
	require.NoError(t, err, out)
	out, err = promtool(t, ".", "test", "rules", "alerts_test.yml")
	require.NoError(t, err, out)
}

// Each alert has a test in which it fires: without its rule, the tests fail.
func TestAlerts_EachIsTested(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	tests, err := os.ReadFile("alerts_test.yml")
	require.NoError(t, err)
	names := find(string(rules), `(?m)^\s+- alert: (\w+)$`)
	require.NotEmpty(t, names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			without := strings.Replace(string(rules), "- alert: "+name+"\n", "- alert: Other\n", 1)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yml"), []byte(without), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts_test.yml"), tests, 0o600))
			out, err := promtool(t, dir, "test", "rules", "alerts_test.yml")
			require.Error(t, err, "no test sees that it does not fire")
			require.Contains(t, out, "alertname: "+name, "the tests fail for another reason")
		})
	}
}
