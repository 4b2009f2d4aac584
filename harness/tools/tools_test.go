package tools_test

import (
	"go/format"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/tools"
)

func TestSources(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"inngest", "mailhog", "mailpit", "ferretdb", "caddy"} {
		files, err := tools.Sources(name)
		require.NoError(t, err)
		require.Contains(t, files, "go.mod")
		require.Contains(t, files, "go.sum")
		require.Contains(t, string(files["go.mod"]), "module github.com/odoo-maintenance/inngest-harness/harness/tools/"+name+"\n")
		for file, text := range files {
			if !strings.HasSuffix(file, ".go") {
				continue
			}
			// gofmt does not check text files.
			want, err := format.Source(text)
			require.NoError(t, err, file)
			require.Equal(t, string(want), string(text), "%s is not formatted", file)
		}
	}
	page, err := tools.Sources("page")
	require.NoError(t, err)
	require.Len(t, page, 2)
	require.Contains(t, string(page["package-lock.json"]), `"integrity": "sha512-`, "what is downloaded is checked")
	_, err = tools.Sources("redis")
	require.ErrorContains(t, err, `no sources of a tool "redis"`)
}

func TestPatches(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mailhog", "redis"} {
		require.Empty(t, tools.Patches(name))
	}
	notices := map[string]string{} // what each file's patches put into it
	for _, p := range slices.Concat(tools.Patches("ferretdb"), tools.Patches("inngest"), tools.Patches("page")) {
		require.Positive(t, p.Times)
		require.NotContains(t, p.New, p.Old, "made once it cannot be made again")
		notices[p.File] += p.New
	}
	for file, text := range notices {
		require.Contains(t, text, "// Changed by inngest-harness: ", "the licence requires a notice in %s", file)
	}
}
