package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

var update = flag.Bool("update", false, "write the schemas and the OpenAPI document anew")

// dir has the committed documents.
const dir = "../../harness/stackapi"

// files are the types of what has a schema of its own, by the names of the schemas.
var files = map[string]reflect.Type{
	"event":         typeOf[harness.Event](),
	"expectation":   typeOf[harness.Expectation](),
	"fault":         typeOf[tap.Fault](),
	"interventions": typeOf[sim.Interventions](),
	"message":       typeOf[harness.Message](),
	"stack":         typeOf[stackapi.Stack]().Field(0).Type, // the state file
	"trace":         typeOf[harness.Trace](),
	"verdict":       typeOf[harness.Verdict](),
}

func TestDocuments_AreThoseOfTheCode(t *testing.T) {
	m := newMaker(t)
	document := openAPI(m)
	want := map[string][]byte{}
	for file, of := range files {
		want["schemas/"+file+".json"] = encode(t, m.file(of))
	}
	document["components"].(object)["schemas"] = m.defs
	want["openapi.json"] = bytes.ReplaceAll(encode(t, document), []byte(`"#/$defs/`), []byte(`"#/components/schemas/`))
	if *update {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "schemas")))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "schemas"), 0o755))
		for file, data := range want {
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), data, 0o644))
		}
		return
	}
	require.Equal(t, slices.Sorted(maps.Keys(files)), stackapi.Schemas(), hint)
	for file, data := range want {
		got, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err, hint)
		require.Equal(t, string(data), string(got), "%s: %s", file, hint)
	}
}

// Descriptions are for readers of JSON: they have no names of Go.
func TestDocuments_HaveNoNamesOfGo(t *testing.T) {
	described := regexp.MustCompile(`"description": "((?:[^"\\]|\\.)*)"`)
	ofGo := regexp.MustCompile(`\b(nil|(At|No|Check|Service|Delay)[A-Z]\w*|[A-Z]\w*\.[A-Z]\w*|Message-id)\b|^ |  |[\[\]]`)
	found := 0
	for _, d := range described.FindAllSubmatch(stackapi.OpenAPI(), -1) {
		require.NotRegexp(t, ofGo, string(d[1]))
		found++
	}
	require.Greater(t, found, 200)
}

// The document for readers lists all operations.
func TestDocuments_ListOperations(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	variable := regexp.MustCompile(`\{\w+\}`)
	listed := variable.ReplaceAllString(string(text), "{}")
	for _, op := range stackapi.Operations() {
		require.Contains(t, listed, fmt.Sprintf("`%s %s`", op.Method, variable.ReplaceAllString(op.Path, "{}")))
	}
}

const hint = "run: go test ./e2e/api -run TestDocuments -update; then npm run api in harness/js"

func encode(t *testing.T, v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	require.NoError(t, e.Encode(v))
	return b.Bytes()
}

// file returns the schema of what stands alone in a file, with the definitions to which it refers.
func (m *maker) file(t reflect.Type) *schema {
	whole := m.schema(t)
	s := *m.defs[name(t)]
	if t == typeOf[sim.Interventions]() {
		s = *m.interventions()
		s.Description = m.defs[name(t)].Description
	} else {
		whole = &s
	}
	s.Version, s.Title = jsonschema.Version, name(t)
	s.Definitions = m.needed(whole)
	return &s
}

// needed returns the definitions to which a schema refers, directly or through others.
func (m *maker) needed(s *schema) jsonschema.Definitions {
	found := jsonschema.Definitions{}
	todo := []*schema{s}
	for len(todo) > 0 {
		data, err := json.Marshal(todo[0])
		if err != nil {
			panic(err)
		}
		todo = todo[1:]
		for _, part := range strings.Split(string(data), `"#/$defs/`)[1:] {
			n, _, _ := strings.Cut(part, `"`)
			if found[n] == nil {
				found[n] = m.defs[n]
				todo = append(todo, m.defs[n])
			}
		}
	}
	return found
}
