package api_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// parsers are those of what persons write, by the names of the schemas.
var parsers = map[string]func([]byte) error{
	"event":         func(data []byte) error { _, err := harness.ParseEvent(data); return err },
	"expectation":   func(data []byte) error { _, err := harness.ParseExpectation(data); return err },
	"interventions": func(data []byte) error { _, err := sim.ParseInterventions(data); return err },
	"fault": func(data []byte) error {
		var f tap.Fault
		if err := json.Unmarshal(data, &f); err != nil {
			return err
		}
		return f.Validate()
	},
}

// unsaid are errors of parsers about what a schema cannot say.
var unsaid = map[string]*regexp.Regexp{
	"it does not see that a key is repeated":    regexp.MustCompile(`occurs twice`),
	"it does not know Go's regular expressions": regexp.MustCompile(`no regular expression`),
	"it does not see the bytes":                 regexp.MustCompile(`not in UTF-8`),
}

// stricter are values that a schema refuses and a parser takes as if they were left out. Without them both must agree.
var stricter = map[string]func(any) bool{
	"null": func(v any) bool { return v == nil },
	"the zero value of a field, for which a schema would have to repeat each rule": func(v any) bool {
		return slices.ContainsFunc([]any{nil, "", 0.0, false, "0s", []any{}, map[string]any{}}, func(zero any) bool { return reflect.DeepEqual(v, zero) })
	},
}

// Each text is judged as everything that has a parser: the schema and the parser agree.
func TestSchemas_AgreeWithParsers(t *testing.T) {
	t.Parallel()
	texts := corpus(t)
	used := map[string]bool{}
	for kind, parse := range parsers {
		schema := compile(t, kind)
		valid := 0
		for _, text := range texts {
			all := []string{text}
			if parse([]byte(text)) == nil {
				valid++
				all = append(all, mutations(t, text)...)
			}
			for _, one := range all {
				agree(t, kind, schema, parse, one, used)
			}
		}
		assert.Greater(t, valid, 5, "%s: too few valid examples to tell", kind)
	}
	for why := range maps.Keys(unsaid) {
		require.True(t, used[why], "no text needs the exception: %s", why)
	}
	for why := range maps.Keys(stricter) {
		require.True(t, used[why], "no text needs the exception: %s", why)
	}
}

func agree(t *testing.T, kind string, schema *jsonschema.Schema, parse func([]byte) error, text string, used map[string]bool) {
	valid := func(text string) error {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		require.NoError(t, err)
		return schema.Validate(value)
	}
	why, agreed := compare(t, text, valid, func(text string) error { return parse([]byte(text)) })
	if used[why] = true; !agreed {
		t.Errorf("%s:\n%s\nthe schema says: %v\nthe parser says: %v", kind, text, valid(text), parse([]byte(text)))
	}
}

// compare reports whether a schema and a parser agree about a text, and if only by an exception, by which.
func compare(t *testing.T, text string, valid, parse func(string) error) (why string, agreed bool) {
	invalid, refused := valid(text), parse(text)
	switch {
	case (invalid == nil) == (refused == nil):
		return "", true
	case invalid == nil:
		for why, e := range unsaid {
			if e.MatchString(refused.Error()) {
				return why, true
			}
		}
	default:
		for why, left := range stricter {
			if without := string(encode(t, without(decode(t, text), left))); valid(without) == nil && parse(without) == nil {
				return why, true
			}
		}
	}
	return "", false
}

// without leaves out values in objects and arrays.
func without(v any, left func(any) bool) any {
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			if v[key] = without(e, left); left(v[key]) {
				delete(v, key)
			}
		}
	case []any:
		for i, e := range v {
			v[i] = without(e, left)
		}
		return slices.DeleteFunc(v, left)
	}
	return v
}

func decode(t *testing.T, text string) (v any) {
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	return v
}

func compile(t *testing.T, name string) *jsonschema.Schema {
	data, err := stackapi.Schema(name)
	require.NoError(t, err)
	schema, err := compilerOf(t, name, data).Compile(name)
	require.NoError(t, err)
	return schema
}

// compilerOf returns a compiler of schemas in a document.
func compilerOf(t *testing.T, name string, data []byte) *jsonschema.Compiler {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	require.NoError(t, c.AddResource(name, document))
	return c
}

// mutations returns a text with a field more, without a field, with a field spelt otherwise, and with a value of another type,
// at each place.
func mutations(t *testing.T, text string) (all []string) {
	decode := func() any { return decode(t, text) }
	keep := func(v any) { all = append(all, string(encode(t, v))) }
	// Each change is made in a copy of its own: visit calls change with the n-th value.
	for n := range count(decode()) {
		for _, other := range []any{true, 7, -1, 1.5, "", "x", "-1s", "0s", "3d", nil, []any{}, []any{"x"}, []any{nil}, map[string]any{}, map[string]any{"x": 1}} {
			v := decode()
			keep(replaceNth(v, n, func(any) any { return other }))
		}
		keep(replaceNth(decode(), n, func(v any) any {
			if m, ok := v.(map[string]any); ok {
				m["unknown"] = 1
			}
			return v
		}))
		for _, key := range keysOfNth(decode(), n) {
			keep(replaceNth(decode(), n, func(v any) any { delete(v.(map[string]any), key); return v }))
			keep(replaceNth(decode(), n, func(v any) any {
				m := v.(map[string]any)
				m[strings.ToUpper(key)] = m[key]
				delete(m, key)
				return m
			}))
		}
	}
	return all
}

// count returns how many values are in a value, itself included.
func count(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			n += count(e)
		}
	case []any:
		for _, e := range v {
			n += count(e)
		}
	}
	return n
}

// replaceNth returns v with its n-th value changed. v itself is value 0, members follow in the sequence of their keys.
func replaceNth(v any, n int, change func(any) any) any {
	if n == 0 {
		return change(v)
	}
	n--
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if c := count(v[key]); n < c {
				v[key] = replaceNth(v[key], n, change)
				return v
			} else {
				n -= c
			}
		}
	case []any:
		for i := range v {
			if c := count(v[i]); n < c {
				v[i] = replaceNth(v[i], n, change)
				return v
			} else {
				n -= c
			}
		}
	}
	panic("there is no such value")
}

func keysOfNth(v any, n int) (keys []string) {
	replaceNth(v, n, func(v any) any {
		if m, ok := v.(map[string]any); ok {
			keys = slices.Sorted(maps.Keys(m))
		}
		return v
	})
	return keys
}

// corpus returns all JSON objects and arrays in the documents, in the scripts of the command, and in the strings of the
// harness's tests; and faults of all kinds at all points.
func corpus(t *testing.T) []string {
	found := map[string]bool{}
	add := func(text string) {
		d := json.NewDecoder(strings.NewReader(text))
		for {
			var v json.RawMessage
			if err := d.Decode(&v); err != nil {
				return
			}
			if v[0] == '{' || v[0] == '[' {
				found[string(v)] = true
			}
		}
	}
	walk := func(root, extension string, each func(name, text string)) {
		require.NoError(t, filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				if entry != nil && entry.Name() == "node_modules" {
					return fs.SkipDir
				}
				return err
			}
			if strings.HasSuffix(name, extension) {
				data, err := os.ReadFile(name)
				require.NoError(t, err)
				each(name, string(data))
			}
			return nil
		}))
	}
	walk("../../docs", ".md", func(_, text string) {
		for i, block := range strings.Split(text, "```") {
			if i%2 == 1 {
				_, block, _ = strings.Cut(block, "\n")
			}
			add(block)
		}
		for _, block := range regexp.MustCompile("`([{\\[][^`]*)`").FindAllStringSubmatch(text, -1) {
			add(block[1])
		}
	})
	walk("../../harness/cmd/harness/testdata/script", ".txtar", func(_, text string) {
		for _, file := range regexp.MustCompile(`(?m)^-- .* --$`).Split(text, -1) {
			add(file)
		}
	})
	walk("../../harness", "_test.go", func(name, text string) {
		file, err := parser.ParseFile(gotoken.NewFileSet(), name, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == gotoken.STRING {
				if s, err := strconv.Unquote(literal.Value); err == nil {
					add(s)
				}
			}
			return true
		})
	})
	require.Greater(t, len(found), 500)
	for _, at := range values(typeOf[tap.Point]()) {
		for _, do := range values(typeOf[tap.Action]()) {
			add(string(encode(t, object{"at": at, "do": do, "for": "1s", "step": "s"})))
			add(string(encode(t, object{"at": at, "do": do, "code": 451, "to": "kim@plant.test"})))
			add(string(encode(t, object{"at": at, "do": do, "rate": 1, "bytes": 1})))
			add(string(encode(t, object{"at": at, "do": do, "function": "f", "event": "e", "text": "a\nb", "second": true})))
			add(string(encode(t, object{"at": at, "do": do, "run": "r", "step": "s", "after": "a", "attempt": 1})))
		}
	}
	return slices.Sorted(maps.Keys(found))
}
