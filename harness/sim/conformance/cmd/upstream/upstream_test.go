package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReasons_AreReadable(t *testing.T) {
	t.Parallel()
	_, err := parseReasons(knownReasons)
	require.NoError(t, err)
	for text, part := range map[string]string{"TestA": "the name of a test, a colon and why", "TestA: one\nTestA: two": "each test has one"} {
		_, err := parseReasons(text)
		require.ErrorContains(t, err, part)
	}
}

func TestReport_HoldsResultsToReasons(t *testing.T) {
	t.Parallel()
	tests := []string{"TestA", "TestB", "TestC"}
	for name, tt := range map[string]struct {
		sim, server map[string]bool
		reasons     map[string]string
		says        string
		wrong       string
	}{
		"all as said": {
			sim: map[string]bool{"TestA": true}, server: map[string]bool{"TestA": true, "TestB": true}, reasons: map[string]string{"TestB": "not yet"},
			says: "not on sim: TestB: not yet\nnot on the server: TestC\nupstream e2e: sim 1 of 3, server 2 of 3\n",
		},
		"no reason": {
			sim: map[string]bool{}, server: map[string]bool{"TestA": true},
			says: "mend sim, or say why in reasons.txt", wrong: "1 tests are otherwise than reasons.txt says",
		},
		"reason no longer needed": {
			sim: map[string]bool{"TestA": true}, server: map[string]bool{"TestA": true}, reasons: map[string]string{"TestA": "not yet"},
			says: "TestA passes on sim: take it out of reasons.txt", wrong: "1 tests are otherwise",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := report(&out, tests, map[string]map[string]bool{"sim": tt.sim, "server": tt.server}, tt.reasons)
			require.Contains(t, out.String(), tt.says)
			if tt.wrong == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.wrong)
			}
		})
	}
	var out strings.Builder
	require.NoError(t, report(&out, tests, map[string]map[string]bool{"sim": {"TestA": true}}, nil))
	require.Equal(t, "upstream e2e: sim 1 of 3\n", out.String())
}

func TestReaddress_TakesAddressFromEnvironment(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "golang")
	require.NoError(t, os.Mkdir(dir, 0o755))
	file := filepath.Join(dir, "a_test.go")
	source := "package golang\n\nconst DEV_URL = \"http://127.0.0.1:8288\"\n\nfunc TestA(t *testing.T) {\n\tc.ResetAll(t)\n\tuse(\"http://localhost:8288/fn/register\")\n}\n"
	require.NoError(t, os.WriteFile(file, []byte(source), 0o644))
	require.NoError(t, readdress(dir))
	changed, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(changed), "8288")
	require.Contains(t, string(changed), `var DEV_URL = serverURL()+""`)
	require.Contains(t, string(changed), `use(serverURL()+"/fn/register")`)
	require.FileExists(t, filepath.Join(dir, "server_url.go"))
	alone, err := resetting(dir)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"TestA": true}, alone)
}
