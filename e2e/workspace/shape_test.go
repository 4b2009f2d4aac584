package workspace_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPackages_HaveAComment(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		begin := "Package " + p.Name + " "
		if p.Name == "main" {
			begin = "Command "
		}
		require.True(t, strings.HasPrefix(p.Doc, begin), "%s: its comment must begin with %q", p.short(), begin)
	}
}

// maxMethods is how many methods an exported type may have, exported and unexported ones. One with more is several types,
// or its comment says why not, with the words "many methods".
const maxMethods = 25

// pendingTypes have too many methods. A type that has become smaller must leave this list.
var pendingTypes = []string{"harness/sim/internal/engine.Engine"}

func TestTypes_HaveFewMethods(t *testing.T) {
	t.Parallel()
	var large []string
	for _, p := range packages(t) {
		for name, n := range largeTypes(t, p) {
			large = append(large, p.short()+"."+name)
			if !slices.Contains(pendingTypes, p.short()+"."+name) {
				t.Errorf("%s.%s has %d methods: make it several types, or say in its comment why it needs many methods", p.short(), name, n)
			}
		}
	}
	for _, p := range pendingTypes {
		require.Contains(t, large, p, "pending, but no longer so: take it off the list")
	}
}

// largeTypes returns the exported types of a package that have more than maxMethods methods and do not say why.
func largeTypes(t *testing.T, p pkg) map[string]int {
	t.Helper()
	set := token.NewFileSet()
	var parsed []*ast.File
	methods := map[string]int{}
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		parsed = append(parsed, f)
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
				receiver := fn.Recv.List[0].Type
				if star, ok := receiver.(*ast.StarExpr); ok {
					receiver = star.X
				}
				if id, ok := receiver.(*ast.Ident); ok {
					methods[id.Name]++
				}
			}
		}
	}
	described, err := doc.NewFromFiles(set, parsed, p.ImportPath, doc.PreserveAST)
	require.NoError(t, err)
	large := map[string]int{}
	for _, typ := range described.Types {
		if n := methods[typ.Name]; ast.IsExported(typ.Name) && n > maxMethods && !strings.Contains(typ.Doc, "many methods") {
			large[typ.Name] = n
		}
	}
	return large
}

func TestLargeTypes_AreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var text strings.Builder
	text.WriteString("package x\n\ntype Large struct{}\n\n// Excused has many methods because the protocol has.\ntype Excused struct{}\n\ntype hidden struct{}\n")
	for _, name := range []string{"Large", "Excused", "hidden"} {
		for i := range maxMethods + 1 {
			fmt.Fprintf(&text, "func (*%s) m%d() {}\n", name, i)
		}
	}
	writeFile(t, filepath.Join(dir, "x.go"), text.String())
	require.Equal(t, map[string]int{"Large": maxMethods + 1}, largeTypes(t, pkg{Dir: dir, GoFiles: []string{"x.go"}}))
}
