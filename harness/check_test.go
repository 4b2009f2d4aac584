package harness

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestChecks_ListsEveryConstant reads the constants from the source: a check that is not in the list would never run.
func TestChecks_ListsEveryConstant(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "check.go", nil, 0)
	require.NoError(t, err)
	listed := []Check{CheckAll}
	for _, info := range Checks() {
		require.NotEmpty(t, info.Requires, "%s", info.Check)
		listed = append(listed, info.Check)
	}
	var constants []Check
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if value, ok := spec.Values[0].(*ast.BasicLit); ok && value.Kind == token.STRING {
				name, err := strconv.Unquote(value.Value)
				require.NoError(t, err)
				constants = append(constants, Check(name))
			}
		}
		return true
	})
	require.ElementsMatch(t, constants, listed)
}
