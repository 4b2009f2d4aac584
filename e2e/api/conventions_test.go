package api_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// foreign are the packages whose JSON has the form that another program gives it, and why.
var foreign = map[string]string{
	"sim/internal":      "Inngest's protocols",
	"internal/sdk":      "Inngest's protocols",
	"inngestapi":        "Inngest's API",
	"inbox":             "the APIs of MailHog and Mailpit",
	"dashboard":         "what the dashboard sends to its own page, which comes from the same program",
	"sim/conformance":   "what the compared servers answer",
	"attach":            "what Docker answers",
	"internal/endpoint": "what FerretDB answers",
	"internal/follow":   "events of Inngest",
	"js":                "no Go",
}

// Durations in JSON are texts, and keys are spelt in one way: in every struct of the harness that has JSON of its own.
func TestJSON_HasOneForm(t *testing.T) {
	t.Parallel()
	const root = "../../harness"
	fields := 0
	require.NoError(t, filepath.WalkDir(root, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, dir)
		require.NoError(t, err)
		if _, skip := foreign[filepath.ToSlash(rel)]; skip || entry.Name() == "testdata" || entry.Name() == "node_modules" {
			return fs.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		var structs []*ast.TypeSpec
		marshal := map[string]bool{} // the types with a JSON of their own
		anonymous := []*ast.StructType{}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.TypeSpec:
					if _, ok := n.Type.(*ast.StructType); ok {
						structs = append(structs, n)
					}
				case *ast.StructType:
					anonymous = append(anonymous, n)
				case *ast.FuncDecl:
					if n.Name.Name == "MarshalJSON" {
						marshal[receiver(n)] = true
					}
				}
				return true
			})
		}
		named := map[*ast.StructType]string{}
		for _, s := range structs {
			named[s.Type.(*ast.StructType)] = s.Name.Name
		}
		for _, s := range anonymous {
			for _, f := range s.Fields.List {
				key := key(f)
				if key == "" {
					continue
				}
				fields++
				where := path.Join(filepath.ToSlash(rel), named[s]) + "." + key
				kind := typeName(f.Type)
				if kind == "time.Duration" && !marshal[named[s]] {
					t.Errorf("%s is a time.Duration, which JSON has in nanoseconds: make it a harness.Duration", where)
				}
				if slices.Contains([]string{"int", "int64", "uint64", "float64"}, kind) && likeDuration.MatchString(key) {
					t.Errorf("%s is a number: make it a harness.Duration", where)
				}
				if !wellSpelt.MatchString(key) {
					t.Errorf("%s: write keys as in messageId", where)
				}
			}
		}
		return nil
	}))
	require.Greater(t, fields, 200)
}

var (
	likeDuration = regexp.MustCompile(`(?i)(took|seconds|millis|ms|duration|timeout|elapsed|interval|wait)$`)
	// wellSpelt allows abbreviations of capitals but ID.
	wellSpelt = regexp.MustCompile(`^(\$schema|[a-z][a-z0-9]*([A-Z][a-z0-9]+|LF|JSON)*)$`)
)

// key is the JSON key of a field; empty for a field without one.
func key(f *ast.Field) string {
	if f.Tag == nil {
		return ""
	}
	tag, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	return strings.TrimPrefix(name, "-")
}

// typeName is a type's name in its source, such as time.Duration; empty for other types.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.SelectorExpr:
		return typeName(e.X) + "." + e.Sel.Name
	}
	return ""
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	return typeName(f.Recv.List[0].Type)
}
