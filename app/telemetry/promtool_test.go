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
func promtool(t *testing.T, dir, stdin string, args ...string) (string, error) {
	tool, err := exec.LookPath("promtool")
	require.NoError(t, err, "promtool is missing: install Debian's package prometheus (--no-install-recommends), and stop the service that it starts")
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAlerts_PassPromtool(t *testing.T) {
	t.Parallel()
	out, err := promtool(t, ".", "", "check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")
	require.NoError(t, err, out)
	out, err = promtool(t, ".", "", "test", "rules", "alerts_test.yml")
	require.NoError(t, err, out)
}

func TestMetrics_PassPromtool(t *testing.T) {
	t.Parallel()
	out, err := promtool(t, ".", read(t, all(t)), "check", "metrics")
	require.NoError(t, err, out)
}

// Each alert has a test in which it fires: with rules that have other names, the tests miss all of them.
func TestAlerts_EachIsTested(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	tests, err := os.ReadFile("alerts_test.yml")
	require.NoError(t, err)
	dir := t.TempDir()
	renamed := strings.ReplaceAll(string(rules), "- alert: ", "- alert: Other")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yml"), []byte(renamed), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts_test.yml"), tests, 0o600))
	out, err := promtool(t, dir, "", "test", "rules", "alerts_test.yml")
	require.Error(t, err, out)
	names := find(string(rules), `(?m)^\s+- alert: (\w+)$`)
	require.NotEmpty(t, names)
	require.Equal(t, names, find(out, `alertname: (\w+)`), "alerts that a test sees firing: %s", out)
}
