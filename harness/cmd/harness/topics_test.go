package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func runHelp(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = run(context.Background(), append([]string{"help"}, args...), stdio{out: &o, err: &e, getenv: func(string) string { return "" }})
	return status, o.String(), e.String()
}

func TestHelp_ShowsEveryDocument(t *testing.T) {
	t.Parallel()
	_, all, _ := runHelp(t)
	require.NotEmpty(t, topics())
	for _, name := range topics() {
		status, text, _ := runHelp(t, name+".md")
		require.Equal(t, exitOK, status, name)
		title, _, _ := strings.Cut(text, "\n")
		require.Contains(t, all, strings.TrimPrefix(title, "# "), "the help of the program lists it")
		require.NotContains(t, text, "](#", name)
		require.NotContains(t, text, "![", name)
	}
	status, text, _ := runHelp(t, "writing-tests")
	require.Equal(t, exitOK, status)
	require.Contains(t, text, "`harness help faults.md`")
}

func TestHelp_PrefersCommandsAndNamesTheirDocuments(t *testing.T) {
	t.Parallel()
	_, text, _ := runHelp(t, "explore")
	require.Contains(t, text, "harness explore - ")
	require.Contains(t, text, "`harness help explore.md` tells more.")
	_, text, _ = runHelp(t, "mail", "show")
	require.Contains(t, text, "harness mail show - ")
}

func TestHelp_SuggestsWhatIsThere(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"writing-test": "harness: there is no command or topic \"writing-test\": did you mean `harness help writing-tests`?\n",
		"statsu":       "harness: there is no command \"statsu\": did you mean `harness status`?\n",
		"xyzzy":        "harness: there is no command \"xyzzy\": `harness --help` lists them\n",
	} {
		status, _, errs := runHelp(t, word)
		require.Equal(t, exitUsage, status)
		require.Equal(t, want, errs)
	}
}
