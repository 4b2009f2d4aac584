package workspace_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modulePrefix = "github.com/odoo-maintenance/inngest-harness/"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath, Dir, Name, Doc         string
	Imports, TestImports, XTestImports []string
	Standard                           bool
}

// short is the import path within the workspace.
func (p pkg) short() string { return strings.TrimPrefix(p.ImportPath, modulePrefix) }

func root(t *testing.T) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	require.True(t, ok)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Name,Doc,Imports,TestImports,XTestImports", "work")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	require.NoError(t, err, "go list: %s", stderr(err))
	var all []pkg
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
	require.NotEmpty(t, all)
	return all
}

func stderr(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}

// rule says what the packages below one path may import. Paths are within the workspace; "" is all of it.
type rule struct {
	of, never string
	// tests says that the tests of these packages are bound too.
	tests bool
	// but are packages below of that the rule leaves out.
	but []string
	why string
}

var rules = []rule{
	{of: "app", never: "harness", tests: true, why: "the app is a product of its own"},
	{of: "app", never: "fixtures", why: "fixtures are for tests"},
	{of: "app", never: "e2e", tests: true, why: "nothing imports e2e"},
	{of: "fixtures", never: "", tests: true, why: "fixtures is a leaf"},
	{of: "harness", never: "app", tests: true, why: "the harness serves any app"},
	{of: "harness", never: "fixtures", tests: true, why: "the harness serves any app"},
	{of: "harness", never: "e2e", tests: true, why: "nothing imports e2e"},
	{
		of: "harness", never: "harness/containers", but: []string{"harness/cmd/harness", "harness/containers"},
		why: "Docker's client burdens only those who ask for containers",
	},
	{
		of: "harness", never: "harness/local", but: []string{"harness/cmd/harness", "harness/local", "harness/containers", "harness/internal/servertest"},
		why: "backends are passed in, not registered",
	},
	{
		of: "harness", never: "harness/attach", but: []string{"harness/cmd/harness", "harness/attach"}, why: "backends are passed in, not registered",
	},
	{
		of: "harness", never: "harness/sim", but: []string{"harness/cmd/harness", "harness/sim"}, why: "backends are passed in, not registered",
	},
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	for _, broken := range violations(packages(t), rules) {
		t.Error(broken)
	}
}

func violations(all []pkg, rules []rule) []string {
	var broken []string
	for _, p := range all {
		for _, r := range rules {
			if !within(p.short(), r.of) || exempt(p.short(), r.but) {
				continue
			}
			imports := p.Imports
			if r.tests {
				imports = append(append(append([]string{}, imports...), p.TestImports...), p.XTestImports...)
			}
			for _, i := range imports {
				in, ours := strings.CutPrefix(i, modulePrefix)
				if ours && within(in, r.never) && !(r.never == "" && within(in, r.of)) {
					broken = append(broken, p.short()+" imports "+in+", which it may not: "+r.why)
				}
			}
		}
	}
	return broken
}

func within(path, of string) bool { return of == "" || path == of || strings.HasPrefix(path, of+"/") }

func exempt(path string, but []string) bool {
	for _, b := range but {
		if within(path, b) {
			return true
		}
	}
	return false
}

func TestImportRulesCatchAViolation(t *testing.T) {
	t.Parallel()
	planted := []pkg{
		{ImportPath: modulePrefix + "app/email", XTestImports: []string{modulePrefix + "harness/inbox"}},
		{ImportPath: modulePrefix + "fixtures", Imports: []string{"embed", modulePrefix + "app"}},
		{ImportPath: modulePrefix + "harness", Imports: []string{modulePrefix + "harness/containers"}},
		{ImportPath: modulePrefix + "harness/cmd/harness", Imports: []string{modulePrefix + "harness/containers"}},
	}
	require.Equal(t, []string{
		"app/email imports harness/inbox, which it may not: the app is a product of its own",
		"fixtures imports app, which it may not: fixtures is a leaf",
		"harness imports harness/containers, which it may not: Docker's client burdens only those who ask for containers",
	}, violations(planted, rules))
}

func TestFixturesNeedTheStandardLibraryAlone(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !within(p.short(), "fixtures") {
			continue
		}
		for _, i := range p.Imports {
			first, _, _ := strings.Cut(i, "/")
			require.False(t, strings.Contains(first, ".") && !strings.HasPrefix(i, modulePrefix+"fixtures"), "%s imports %s", p.short(), i)
		}
	}
}

// TestNobodyImportsAServer: the servers are programs of their own. The Inngest server's licence, the SSPL, is one more
// reason; what the SDK links of it is the SDK's affair.
func TestNobodyImportsAServer(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, i := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for _, server := range []string{"github.com/inngest/inngest/", "github.com/mailhog/", "github.com/FerretDB/"} {
				require.False(t, strings.HasPrefix(i, server), "%s imports %s", p.short(), i)
			}
		}
	}
}

// TestOnlyTestPackagesLinkTesting keeps flags of package testing out of programs.
func TestOnlyTestPackagesLinkTesting(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			if i == "testing" {
				require.Regexp(t, `(test|^e2e.*)$`, p.Name, "%s links package testing; only packages named …test may", p.short())
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.Name == "main" {
			require.True(t, strings.HasPrefix(p.Doc, "Command "), "%s: its comment must begin with Command", p.short())
			continue
		}
		require.True(t, strings.HasPrefix(p.Doc, "Package "+p.Name+" "), "%s: no comment that begins with Package %s", p.short(), p.Name)
	}
}
