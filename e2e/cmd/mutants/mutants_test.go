package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMutants_EveryPatchFitsTheSource(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(mutants), 32)
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	names := map[string]bool{}
	for _, m := range mutants {
		require.False(t, names[m.name], "two defects are called %q", m.name)
		names[m.name] = true
		overlay, remove, err := m.plant(root)
		require.NoError(t, err, m.name)
		defer remove()
		data, err := os.ReadFile(overlay)
		require.NoError(t, err)
		var o struct{ Replace map[string]string }
		require.NoError(t, json.Unmarshal(data, &o))
		require.Len(t, o.Replace, 1)
		for file, changed := range o.Replace {
			require.Equal(t, filepath.Join(root, m.file), file)
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			planted, err := os.ReadFile(changed)
			require.NoError(t, err)
			require.Equal(t, strings.Replace(string(source), m.old, m.new, 1), string(planted))
		}
	}
}

func TestPlant_RefusesAPatchThatDoesNotFit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte("one two two"), 0o644))
	for name, test := range map[string]struct {
		m    mutant
		want string
	}{
		"gone":      {mutant{"", "a.go", "three", "x"}, `occurs 0 times in a.go, not once: "three"`},
		"ambiguous": {mutant{"", "a.go", "two", "x"}, `occurs 2 times in a.go, not once: "two"`},
		"no change": {mutant{"", "a.go", "one", "one"}, "the patch changes nothing"},
		"no file":   {mutant{"", "b.go", "one", "x"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := test.m.plant(dir)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestRead_GoTestJSON(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stream string
		want   report
	}{
		"passed": {`{"Action":"run","Test":"TestA"}
{"Action":"pass","Test":"TestA"}
{"Action":"pass"}`, report{}},
		"innermost failure": {`{"Action":"output","Test":"TestA/b","Output":"wrong\n"}
{"Action":"output","Test":"TestA","Output":"--- FAIL\n"}
{"Action":"fail","Test":"TestA/b"}
{"Action":"fail","Test":"TestA"}
{"Action":"fail"}`, report{failed: "TestA/b", output: "wrong\n"}},
		"does not compile": {`{"ImportPath":"p","Action":"build-output","Output":"undefined: x\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail"}`, report{buildFailed: true, output: "undefined: x\n"}},
		"failed without a test": {`{"Action":"output","Output":"exit status 2\n"}
{"Action":"fail"}`, report{output: "exit status 2\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := read(strings.NewReader(test.stream))
			require.NoError(t, err)
			require.Equal(t, test.want, r)
		})
	}
	_, err := read(strings.NewReader("no JSON"))
	require.ErrorContains(t, err, "no JSON")
}

func TestPrint_Table(t *testing.T) {
	t.Parallel()
	results := []result{
		{"doubled send", "app/inngest/functions TestSend/once", 1500 * time.Millisecond, nil},
		{"lost outbox entry", "", 90 * time.Second, errSurvived},
	}
	var out bytes.Buffer
	require.NoError(t, print(&out, results))
	require.Equal(t, `defect             caught by                            time
doubled send       app/inngest/functions TestSend/once  1.5 s
lost outbox entry  NOT CAUGHT: every test passes        90.0 s

1 of 2 defects caught
`, out.String())
	require.Equal(t, 1, survivors(results))
}

func TestTry_CountsNoTestThatFailsWithoutTheDefect(t *testing.T) {
	t.Parallel()
	dir := newModule(t, map[string]string{
		"app/app.go":                "package app\n\nfunc Answer() int { return 42 }\n",
		"app/app_test.go":           "package app\n\nimport \"testing\"\n\nfunc TestAnswer(t *testing.T) {\n\tif Answer() != 42 {\n\t\tt.Fatal(\"wrong\")\n\t}\n}\n",
		"e2e/e2e.go":                "package e2e\n",
		"e2e/faults/faults_test.go": "package faults\n\nimport \"testing\"\n\nfunc TestBroken(t *testing.T) { t.Fatal(\"always\") }\n",
		"e2e/faults/doc.go":         "package faults\n\nvar Unused = 1\n",
	})
	w := &workspace{dir: dir, baseline: map[string]error{}}

	caught, err := w.try(t.Context(), mutant{"wrong", "app/app.go", "42", "41"})
	require.NoError(t, err)
	require.Equal(t, "app TestAnswer", caught)

	_, err = w.try(t.Context(), mutant{"harmless", "e2e/faults/doc.go", "= 1", "= 2"})
	require.EqualError(t, err, "e2e/faults TestBroken fails without the defect too")

	_, err = w.try(t.Context(), mutant{"nonsense", "app/app.go", "42", "x"})
	require.ErrorContains(t, err, "it does not compile")

	writeFile(t, dir, "e2e/faults/faults_test.go", "package faults\n")
	_, err = w.try(t.Context(), mutant{"unnoticed", "e2e/faults/doc.go", "= 1", "= 2"})
	require.True(t, errors.Is(err, errSurvived), "%v", err)
}

// The test fails in its package, whatever the defect, and passes when it runs again.
func TestTry_CountsNoTestThatFailsOnce(t *testing.T) {
	t.Parallel()
	dir := newModule(t, map[string]string{
		"app/app.go": "package app\n\nvar Unused = 1\n",
		"app/app_test.go": `package app

import (
	"os"
	"testing"
)

func TestNowAndThen(t *testing.T) {
	if f, err := os.OpenFile("been-here", os.O_CREATE|os.O_EXCL, 0o644); err == nil {
		f.Close()
		t.Fatal("by chance")
	}
}
`,
		"e2e/e2e.go":        "package e2e\n",
		"e2e/faults/doc.go": "package faults\n",
	})
	w := &workspace{dir: dir, baseline: map[string]error{}}
	_, err := w.try(t.Context(), mutant{"harmless", "app/app.go", "= 1", "= 2"})
	require.ErrorIs(t, err, errSurvived)
	require.EqualError(t, err, "every test passes, but [app TestNowAndThen] failed once, and then passed with the defect")
}

// newModule makes a module that could be this workspace.
func newModule(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	writeFile(t, dir, "go.mod", "module github.com/odoo-maintenance/inngest-harness\n\ngo 1.26\n")
	for name, text := range files {
		writeFile(t, dir, name, text)
	}
	return dir
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}
