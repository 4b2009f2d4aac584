package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/sim"
	"github.com/odoo-maintenance/inngest-harness/harness/stackapi"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

var update = flag.Bool("update", false, "write the schemas and the OpenAPI document anew")

// dir is where the documents are committed.
const dir = "../../harness/stackapi/schemas"

// files are the schemas of what stands in files, or comes in answers, by the names of their files.
var files = map[string]reflect.Type{
	"event":         reflect.TypeFor[harness.Event](),
	"expectation":   reflect.TypeFor[harness.Expectation](),
	"fault":         reflect.TypeFor[tap.Fault](),
	"interventions": reflect.TypeFor[sim.Interventions](),
	"message":       reflect.TypeFor[harness.Message](),
	"trace":         reflect.TypeFor[harness.Trace](),
	"verdict":       reflect.TypeFor[harness.Verdict](),
	"stack":         reflect.TypeFor[stackapi.Stack]().Field(0).Type,
}

func TestDocuments_AreThoseOfTheCode(t *testing.T) {
	m, err := newMaker()
	require.NoError(t, err)
	document := openAPI(m)
	for _, name := range files {
		m.schema(name)
	}
	document["components"].(object)["schemas"] = m.defs
	compare(t, "openapi.json", document)
}

// compare compares a committed document with what it should be, or writes it.
func compare(t *testing.T, name string, document any) {
	want, err := json.MarshalIndent(document, "", "  ")
	require.NoError(t, err)
	want = append(want, '\n')
	if name == "openapi.json" {
		want = bytes.ReplaceAll(want, []byte("#/$defs/"), []byte("#/components/schemas/"))
	}
	file := filepath.Join(dir, name)
	if *update {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(file, want, 0o644))
		return
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./e2e/api -run TestDocuments -update")
}
