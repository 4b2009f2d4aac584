package workspace_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

const tutorial = "docs/writing-tests.md"

// block is a code block of a document.
type block struct {
	doc  string
	line int    // where it begins
	lang string // "" for an indented one
	file string // the file that it is, where the document says so behind the language
	text string
}

// blocks returns the code blocks of a document, in order.
func blocks(doc, text string) []block {
	var all []block
	var b *block
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		indented, isIndented := strings.CutPrefix(line, "    ")
		switch {
		case fence && fenced:
			b, fenced = nil, false
		case fence:
			lang, file, _ := strings.Cut(info, " ")
			all = append(all, block{doc: doc, line: i + 1, lang: lang, file: file})
			b, fenced = &all[len(all)-1], true
		case fenced:
			b.text += line + "\n"
		case isIndented:
			if b == nil {
				all = append(all, block{doc: doc, line: i + 1})
				b = &all[len(all)-1]
			}
			b.text += indented + "\n"
		default:
			b = nil
		}
	}
	return all
}

// TestGoInDocumentsIsCompiled: Go code in a document is part of a file that a test compiles. In the tutorial each block
// is a whole file, which TestTheTutorialIsTrue compiles.
func TestGoInDocumentsIsCompiled(t *testing.T) {
	t.Parallel()
	sources := sourceFiles(t, ".")
	sources["e2e/workspace/testdata/shop_test.go.txt"] = read(t, "e2e/workspace/testdata/shop_test.go.txt")
	for _, doc := range documents(t) {
		for _, b := range blocks(doc, read(t, doc)) {
			if b.lang != "go" {
				continue
			}
			if doc == tutorial {
				require.NotEmpty(t, b.file, "%s:%d: name the file behind the language, as in ```go shop.go", doc, b.line)
				continue
			}
			found := false
			for _, source := range sources {
				found = found || strings.Contains(source, b.text)
			}
			require.True(t, found, "%s:%d: no file that is compiled has this code: copy it from one", doc, b.line)
		}
	}
}

// sourceFiles returns the Go files below a directory that are compiled, by path.
func sourceFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(root(t)), dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return fs.SkipDir
		case filepath.Ext(path) == ".go":
			files[path] = read(t, path)
		}
		return nil
	})
	require.NoError(t, err)
	return files
}

// TestTheTutorialKnowsEveryField: its table of an expectation's fields has all of them.
func TestTheTutorialKnowsEveryField(t *testing.T) {
	t.Parallel()
	text := read(t, tutorial)
	for _, v := range []any{harness.Expectation{}, harness.RunExpectation{}, harness.StepExpectation{}, harness.MailExpectation{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			require.Contains(t, text, "`"+f.Name+"`", "%T", v)
		}
	}
}

// TestTroubleshootingQuotesTheHarness: each of its headings is a text that the harness prints, with … for what varies.
func TestTroubleshootingQuotesTheHarness(t *testing.T) {
	t.Parallel()
	said := sayings(t)
	headings := regexp.MustCompile("(?m)^### (.*)$").FindAllStringSubmatch(read(t, "docs/troubleshooting.md"), -1)
	require.Greater(t, len(headings), 20)
	for _, h := range headings {
		quoted := strings.Trim(h[1], "`")
		assert.NotEqual(t, quoted, h[1], "the heading %q is no text in backquotes", h[1])
		assert.True(t, isSaid(quoted, said), "nothing in the source prints %q", quoted)
	}
}

// sayings are the texts in the harness's and the app's sources, with … in the place of a format's verbs.
func sayings(t *testing.T) []string {
	t.Helper()
	verb := regexp.MustCompile(`%[-+#.0-9]*[a-zA-Z]`)
	var all []string
	for _, dir := range []string{"app", "harness"} {
		for path, text := range sourceFiles(t, dir) {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, err := strconv.Unquote(lit.Value)
					require.NoError(t, err)
					all = append(all, verb.ReplaceAllString(s, "…"))
				}
				return true
			})
		}
	}
	return all
}

// isSaid says whether the pieces of a quoted text, between the … in it, stand in this order in one saying.
func isSaid(quoted string, said []string) bool {
	pieces := strings.Split(quoted, "…")
	return slices.ContainsFunc(said, func(s string) bool {
		for _, p := range pieces {
			i := strings.Index(s, strings.TrimSpace(p))
			if i < 0 {
				return false
			}
			s = s[i+len(strings.TrimSpace(p)):]
		}
		return true
	})
}

func TestWhatNobodySaysIsFound(t *testing.T) {
	t.Parallel()
	said := []string{"port …, wanted for …, is in use by …"}
	require.True(t, isSaid("port …, wanted for …, is in use", said))
	require.False(t, isSaid("port …, wanted by …", said))
	require.False(t, isSaid("is in use by … wanted for", said))
}

// TestPicturesAreThere: the documents show those that `make screenshots` makes, all of them, none too large for a page.
func TestPicturesAreThere(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, doc := range documents(t) {
		for _, m := range regexp.MustCompile(`!\[[^\]]+\]\(([^)]+)\)`).FindAllStringSubmatch(read(t, doc), -1) {
			shown[path.Join(path.Dir(doc), m[1])] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join(root(t), "docs", "images"))
	require.NoError(t, err)
	maker := read(t, "e2e/cmd/screenshots/main.go")
	for _, e := range entries {
		picture := path.Join("docs/images", e.Name())
		require.True(t, shown[picture], "no document shows %s", picture)
		require.Contains(t, maker, strconv.Quote(e.Name()), "make screenshots does not make it")
		info, err := e.Info()
		require.NoError(t, err)
		require.Less(t, info.Size(), int64(300_000), picture)
		delete(shown, picture)
	}
	require.Empty(t, shown, "documents show pictures that are not there")
}
