//go:build unix && languages

package explore_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/explore"
	"github.com/odoo-maintenance/inngest-harness/harness/explore/internal/planted"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func TestPlanted_InJavaScript(t *testing.T) {
	dir := filepath.Join("testdata", "js")
	install(t, dir)
	for _, a := range planted.Apps() {
		t.Run(a.Name, func(t *testing.T) {
			o := javascriptOptions(t, dir, a.Name)
			requireSign(t, javascript(dir, a.Name+".mjs"), javascript(dir, a.Name+".right.mjs"), a.Name, o)
		})
	}
}

// install installs what the scripts need, unless it is there.
func install(t *testing.T, dir string) {
	t.Helper()
	wanted, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	require.NoError(t, err)
	if there, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err == nil && there.ModTime().After(wanted.ModTime()) {
		return
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = dir
	out, err := npm.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// javascript returns a target that runs a script.
func javascript(dir, file string) explore.Target {
	return explore.Program(onSim(), stack.Options{}, stack.Command{Args: []string{"node", file}, Dir: dir})
}

// javascriptOptions reads the files of an app.
func javascriptOptions(t *testing.T, dir, name string) (o explore.Options) {
	t.Helper()
	for _, ext := range []string{".send.json", ".send2.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name+ext))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		var e harness.Event
		require.NoError(t, json.Unmarshal(data, &e))
		o.Send = append(o.Send, e)
	}
	data, err := os.ReadFile(filepath.Join(dir, name+".expect.json"))
	require.NoError(t, err)
	o.Expect, err = harness.ParseExpectation(data)
	require.NoError(t, err)
	invariant, err := filepath.Abs(filepath.Join(dir, name+".invariant.mjs"))
	require.NoError(t, err)
	if _, err := os.Stat(invariant); err == nil {
		o.InvariantCommand = []string{"node", invariant}
	}
	return o
}
