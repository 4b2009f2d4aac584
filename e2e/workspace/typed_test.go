package workspace_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// typed are commands of the documents in their smallest form, and what they have to print.
var typed = []struct{ line, prints string }{
	{"make -n faults", "FAULTS_BURST=2000 go test -count=1 -timeout 40m -run TestFaultMatrix"},
	{"make -n faults BURST=5000", "FAULTS_BURST=5000 go test -count=1 -timeout 40m -run TestFaultMatrix"},
	{"FAULTS_BURST=10 FAULTS_SEED=7 go test -count=1 -run 'TestFaultMatrix/burst' -v ./e2e/faults", "FAULTS_SEED=7"},
	{"make -n mutants", "go run ./e2e/cmd/mutants\n"},
	{"go run ./e2e/cmd/mutants -run 'failure without' ./app", "1 of 1 defects caught"},
	{"make -n bench", "go run ./e2e/cmd/bench\n"},
	{"HARNESS_BACKENDS=local go run ./e2e/cmd/bench -strict -starts 1 -only start", "n=1 "},
	{"go test -run none -bench ThreeSteps -benchtime 1x ./harness/sim", "added-%"},
	{"go test -v -run TestWatch ./harness/tap", "--- PASS: TestWatchEndsWithItsContext"},
	{"go run ./harness/cmd/harness up --help", "--samples"},
	{"make -n soak", "go run ./e2e/cmd/soak -n 30 -load both"},
	{"make -n soak ROUNDS=1", "go run ./e2e/cmd/soak -n 1 -load both"},
	{"make -n report", "/report go test -count=1 -timeout 20m -run '.' work"},
	{"make -n screenshots", "go run ./e2e/cmd/screenshots docs/images"},
}

// TestDocumentedCommandsInTheirSmallestForm types them here, one after the other: they are what other tests of this
// package are not to wait for.
func TestDocumentedCommandsInTheirSmallestForm(t *testing.T) {
	t.Parallel()
	r := &reader{T: t, dir: root(t), env: []string{
		"MAKEFLAGS=", "MAKELEVEL=", // this test may itself be run by make
		"HARNESS_BACKENDS=local", "HARNESS_BACKEND=", "HARNESS_UPDATE=", "HARNESS_EVIDENCE=", "HARNESS_REPORT=", "HARNESS_RAN=", "HARNESS_TABLE=",
	}}
	for _, c := range typed {
		out, err := r.shell(c.line).CombinedOutput()
		require.NoError(t, err, "%s\n%s", c.line, out)
		require.Contains(t, string(out), c.prints, c.line)
	}
}
