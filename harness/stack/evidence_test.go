package stack_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// noBackend is a backend whose servers are noServers.
type noBackend struct{}

func (noBackend) Name() string { return "none" }
func (noBackend) Start(context.Context, harness.BackendOptions) (harness.Servers, error) {
	return noServers{}, nil
}

// noServers are servers that do not run.
type noServers struct{ harness.Servers }

func (noServers) Endpoints() harness.Endpoints {
	return harness.Endpoints{Inngest: "http://127.0.0.1:1", MailHog: "http://127.0.0.1:1", SMTP: "127.0.0.1:1", Mongo: "mongodb://127.0.0.1:1"}
}
func (noServers) Describe() []harness.ServerInfo { return nil }
func (noServers) Tail(harness.Service) []string  { return []string{"a line"} }
func (noServers) Close(context.Context) error    { return nil }

func TestStack_KeepsTheRestOfTheEvidence(t *testing.T) {
	t.Parallel()
	st, err := stack.Start(t.Context(), noBackend{}, stack.Options{WithoutTaps: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close(context.Background())) }()
	mail := []harness.TraceMail{{Message: &harness.Message{Raw: []byte("Subject: x\r\n\r\n")}}}
	bad := &harness.Verdict{Outcome: harness.Holds, Trace: &harness.Trace{Mail: mail, Runs: []harness.TraceRun{{Output: json.RawMessage("{bad")}}}}
	dir := filepath.Join(t.TempDir(), "evidence")
	verdicts := []*harness.Verdict{bad, {Outcome: harness.Holds, Trace: &harness.Trace{}}}
	require.ErrorContains(t, st.KeepEvidence(dir, verdicts), "write verdict 1: json: error")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, "-rw-------", info.Mode().String(), e.Name())
	}
	require.Equal(t, []string{"1-mail-1.eml", "1-verdict.txt", "2-verdict.json", "2-verdict.txt", "inngest.log", "mailhog.log", "mongo.log"}, names)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, "drwx------", info.Mode().String(), "evidence is the app's data")
}

func TestRemoveEvidence_LeavesWhatIsNone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "test")
	require.NoError(t, stack.RemoveEvidence(dir), "there is none")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for _, name := range []string{"1-verdict.json", "12-mail-3.eml", "app.log", "my-verdict.json", "other.log"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, stack.RemoveEvidence(dir))
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "my-verdict.json"), filepath.Join(dir, "other.log")}, left)
	for _, file := range left {
		require.NoError(t, os.Remove(file))
	}
	require.NoError(t, stack.RemoveEvidence(dir))
	require.NoDirExists(t, dir)
}
