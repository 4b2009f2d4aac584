package workspace_test

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
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

// blocks returns the code blocks of a document, in sequence.
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

// Go code in a document is part of a file that is compiled. In the tutorial each block is a whole file, which
// TestTutorial_CommandsPrintWhatItShows compiles.
func TestDocuments_GoCodeIsCompiled(t *testing.T) {
	t.Parallel()
	sources := []string{read(t, "e2e/workspace/testdata/shop_test.go.txt")}
	for _, file := range files(t, ".", "*.go") {
		sources = append(sources, read(t, file))
	}
	for _, doc := range documents(t) {
		for _, b := range blocks(doc, read(t, doc)) {
			if b.lang != "go" {
				continue
			}
			if doc == tutorial {
				require.NotEmpty(t, b.file, "%s:%d: name the file behind the language, as in ```go shop.go", doc, b.line)
				continue
			}
			found := slices.ContainsFunc(sources, func(source string) bool { return strings.Contains(source, b.text) })
			require.True(t, found, "%s:%d: no file that is compiled has this code: copy it from one", doc, b.line)
		}
	}
}

// Python in a document is part of an example, whose tests run.
func TestDocuments_PythonCodeIsOfExamples(t *testing.T) {
	t.Parallel()
	var sources strings.Builder
	for _, file := range files(t, "examples", "*.py") {
		sources.WriteString(read(t, file))
	}
	for _, doc := range documents(t) {
		for _, b := range blocks(doc, read(t, doc)) {
			if b.lang == "python" {
				require.Contains(t, sources.String(), b.text, "%s:%d: copy it from an example", doc, b.line)
			}
		}
	}
}

// The tables of an expectation's fields have all of them: the tutorial's by their names in Go, the other's by those in JSON.
func TestDocuments_NameEveryFieldOfAnExpectation(t *testing.T) {
	t.Parallel()
	inGo, inJSON := read(t, tutorial), read(t, "docs/javascript.md")
	for _, v := range []any{harness.Expectation{}, harness.RunExpectation{}, harness.StepExpectation{}, harness.MailExpectation{}, harness.FileExpectation{}, harness.Match{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			require.Contains(t, inGo, "`"+f.Name+"`", "the field %s of %T", f.Name, v)
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			require.Contains(t, inJSON, "`"+key+"`", "the field %s of %T", f.Name, v)
		}
	}
}

// Expectations in the documents are valid.
func TestDocuments_ExpectationsAreValid(t *testing.T) {
	t.Parallel()
	found := 0
	for _, doc := range documents(t) {
		for _, b := range blocks(doc, read(t, doc)) {
			if b.lang == "json" && strings.Contains(b.text, `"mail"`) {
				_, err := harness.ParseExpectation([]byte(b.text))
				require.NoError(t, err, "%s:%d", doc, b.line)
				found++
			}
		}
	}
	require.NotZero(t, found)
}

// Each heading of the troubleshooting page is a text that the harness or the app prints, with … for what varies.
func TestTroubleshooting_QuotesMessages(t *testing.T) {
	t.Parallel()
	printed := messages(t)
	headings := regexp.MustCompile("(?m)^### (.*)$").FindAllStringSubmatch(read(t, "docs/troubleshooting.md"), -1)
	require.Greater(t, len(headings), 20)
	for _, h := range headings {
		quoted := strings.Trim(h[1], "`")
		assert.NotEqual(t, quoted, h[1], "the heading %q is no text in backquotes", h[1])
		assert.True(t, isPrinted(quoted, printed), "nothing in the source prints %q", quoted)
	}
}

// messages returns the string literals in the sources of the harness and the app, with … in the place of a format's verbs.
func messages(t *testing.T) []string {
	t.Helper()
	verb := regexp.MustCompile(`%[-+#.0-9]*[a-zA-Z]`)
	var all []string
	for _, dir := range []string{"app", "harness"} {
		for _, path := range files(t, dir, "*.go") {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, read(t, path), parser.SkipObjectResolution)
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

// isPrinted reports whether one message contains the pieces of a quoted text, which are separated by …, in sequence.
func isPrinted(quoted string, messages []string) bool {
	pieces := strings.Split(quoted, "…")
	return slices.ContainsFunc(messages, func(s string) bool {
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

func TestIsPrinted(t *testing.T) {
	t.Parallel()
	printed := []string{"port …, wanted for …, is in use by …"}
	require.True(t, isPrinted("port …, wanted for …, is in use", printed))
	require.False(t, isPrinted("port …, wanted by …", printed))
	require.False(t, isPrinted("is in use by … wanted for", printed))
}

// The documents show every picture that e2e/cmd/screenshots makes, and none is too large for a page.
func TestDocuments_ShowThePictures(t *testing.T) {
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
		require.Contains(t, maker, strconv.Quote(e.Name()), "e2e/cmd/screenshots does not make it")
		info, err := e.Info()
		require.NoError(t, err)
		require.Less(t, info.Size(), int64(300_000), picture)
		delete(shown, picture)
	}
	require.Empty(t, shown, "documents show pictures that are not there")
}

// The files to which a document links exist.
func TestDocuments_LinkToWhatExists(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, doc := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, doc), -1) {
			_, err := os.Stat(filepath.Join(root(t), filepath.Dir(doc), filepath.FromSlash(m[1])))
			require.NoError(t, err, "%s links to %s", doc, m[1])
		}
	}
}

func TestDocuments_ListEveryCheck(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "report.md"))
	require.NoError(t, err)
	for _, c := range harness.Checks() {
		require.Contains(t, string(text), "\n| `"+string(c.Check)+"` | ", "the table of checks in docs/report.md")
	}
}

// What a program prints names documents by what its reader can type, who may not have this repository.
func TestMessages_NameDocumentsThatHelpShows(t *testing.T) {
	t.Parallel()
	cited := regexp.MustCompile("[`']harness help ([a-z-]+)")
	found := 0
	for _, file := range files(t, "harness", "*.go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source := []byte(read(t, file))
		var s scanner.Scanner
		set := token.NewFileSet()
		s.Init(set.AddFile(file, -1, len(source)), source, nil, 0)
		for pos, tok, text := s.Scan(); tok != token.EOF; pos, tok, text = s.Scan() {
			if tok != token.STRING {
				continue
			}
			require.NotRegexp(t, `docs/[a-z-]+\.md`, text, set.Position(pos))
			for _, m := range cited.FindAllStringSubmatch(text, -1) {
				found++
				require.FileExists(t, filepath.Join(root(t), "docs", m[1]+".md"), set.Position(pos))
			}
		}
	}
	require.Positive(t, found)
}
