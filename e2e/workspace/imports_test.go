package workspace_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// rule says which packages of the workspace a package may import. Paths are within the workspace; x/... stands for x and
// all packages below it.
type rule struct {
	of, may []string
	// std says that it may import nothing else but the standard library.
	std bool
	why string
}

// rules go from the bottom to the top: a package may import only what stands in its rule, which names packages of earlier
// rules and of the rule itself. The first rule that matches a package holds. DESIGN: docs/architecture.md.
var rules = []rule{
	{of: []string{"fixtures/..."}, std: true, why: "fixtures are data, for tests of any module"},
	{of: []string{"docs"}, std: true, why: "documents are text"},
	{of: []string{"app/..."}, may: []string{"app/..."}, why: "the app is a product of its own: it knows neither harness nor fixtures"},

	{of: []string{"harness/internal/text", "harness/internal/poll"}, std: true, why: "the smallest helpers need nothing"},
	{of: []string{"harness/internal/address"}, why: "it compares addresses, for which it needs what a domain is in Punycode, and nothing of ours"},
	{of: []string{"harness/internal/strictjson"}, may: []string{"harness/internal/text"}, std: true, why: "it reads JSON, of whatever type"},
	{of: []string{"harness"}, may: []string{"harness/internal/address", "harness/internal/jsontime", "harness/internal/strictjson", "harness/internal/text"}, std: true, why: "the root package holds the nouns and no I/O"},
	{of: []string{"harness/tools/..."}, std: true, why: "the sources of the servers are text"},
	{of: []string{"harness/mailcheck"}, may: []string{"harness", helpers}, why: "a check of an email needs the email alone"},
	{of: []string{"harness/tap", "harness/inbox", "harness/golden", "harness/inngestapi"}, may: []string{"harness/internal/address", "harness", helpers}, why: "clients and proxies know the nouns, and not where they run"},
	{of: []string{"harness/judge"}, may: []string{"harness", "harness/mailcheck", "harness/golden", "harness/internal/text", "harness/internal/address"}, why: "judging is pure: expectation and trace in, verdict out; golden shows a difference so that a person sees it"},
	{of: []string{"harness/internal/mailview"}, may: []string{"harness", "harness/mailcheck", helpers}, why: "the view of an email needs emails and their checks"},
	{of: []string{"harness/internal/endpoint"}, may: []string{"harness", "harness/inngestapi", helpers}, why: "readiness is asked of the servers' APIs"},
	{of: []string{"harness/internal/follow"}, may: []string{"harness/internal/address", "harness", "harness/tap", "harness/inbox", "harness/inngestapi", helpers}, why: "a trace is built from what the taps and the APIs show"},
	{of: []string{"harness/stack"}, may: []string{"harness", "harness/judge", "harness/mailcheck", "harness/internal/follow", "harness/tap", "harness/inbox", "harness/golden", "harness/inngestapi", helpers}, why: "a stack puts the parts together; backends are passed in, not imported"},
	{of: []string{"harness/internal/ranlog"}, may: []string{"harness"}, why: "it records on which stacks tests ran"},
	{of: []string{"harness/local"}, may: []string{"harness", helpers}, why: "a backend starts units of services, and nothing else"},
	{of: []string{"harness/internal/servertest"}, may: []string{"harness", "harness/local", helpers}, why: "tests of clients get their servers from the local backend"},
	{of: []string{helpers}, may: []string{"harness", "harness/tools", "harness/internal/endpoint", helpers}, why: "helpers know the nouns at most"},

	{of: []string{"harness/probe"}, may: []string{"harness", "harness/inngestapi", helpers}, why: "it asks an app and its server from outside; it knows no stack"},
	{of: []string{"harness/attach"}, may: []string{"harness", "harness/inngestapi", "harness/internal/endpoint", helpers}, why: "a backend starts units of services, and nothing else"},
	{of: []string{"harness/containers/healthcheck", "harness/containers/internal/..."}, may: []string{"harness", "harness/containers/internal/...", helpers}, why: "the engine's client knows no stack"},
	{of: []string{"harness/containers"}, may: []string{"harness", "harness/internal/endpoint", "harness/containers/internal/...", helpers}, why: "a backend starts units of services, and nothing else"},
	{of: []string{"harness/containers/cmd/..."}, may: []string{"harness", "harness/containers/...", helpers}, why: "commands may use everything of their module"},
	{of: []string{"harness/sim", "harness/sim/internal/...", "harness/sim/conformance"}, may: []string{"harness", "harness/sim/internal/...", "harness/internal/sdk", helpers}, why: "sim executes the protocol; it knows no stack"},
	{of: []string{"harness/sim/conformance/cmd/..."}, may: []string{"harness", "harness/sim", "harness/inngestapi", helpers}, why: "it runs upstream's suite on sim and on the server"},
	{of: []string{"harness/sim/simstack"}, may: []string{"harness", "harness/stack", "harness/judge", "harness/sim", "harness/tap", "harness/inbox", "harness/inngestapi", "harness/internal/follow", helpers}, why: "it puts sim where the other backends start a server"},

	{of: []string{"harness/report"}, may: []string{"harness", "harness/golden", "harness/mailcheck", "harness/inbox", "harness/internal/mailview", helpers}, why: "a report is drawn from traces alone"},

	{of: []string{"harness/explore"}, may: []string{"harness", "harness/judge", "harness/stack", "harness/sim", "harness/sim/simstack", "harness/tap", "harness/report", "harness/internal/address", helpers}, why: "it runs an app again and again, on a stack or a workbench, and judges it; report draws what it found"},
	{of: []string{"harness/explore/internal/planted"}, may: []string{"harness", "harness/stack"}, why: "apps with defects know no more of the harness than an app in process must"},
	{of: []string{"harness/explore/internal/planted/cmd/..."}, may: []string{"harness", "harness/explore/internal/planted"}, why: "it serves one of those apps"},

	{of: []string{"harness/dashboard"}, may: []string{"harness", "harness/stack", "harness/tap", "harness/inbox", "harness/inngestapi", "harness/mailcheck", "harness/internal/mailview", helpers}, why: "the dashboard shows a stack"},
	{of: []string{"harness/stackapi"}, may: []string{"harness", "harness/stack", "harness/sim", "harness/golden", "harness/report", "harness/tap", "harness/inbox", "harness/inngestapi", helpers}, why: "the API answers for a stack that is given to it"},
	{of: []string{"harness/harnesstest"}, may: []string{"harness", "harness/stack", "harness/tap", "harness/judge", "harness/golden", "harness/report", "harness/explore", "harness/inbox", "harness/internal/ranlog", helpers}, why: "the front for go test takes backends, and names none"},
	{of: []string{"harness/backendtest"}, may: []string{"harness", "harness/stack", "harness/tap", "harness/inbox", "harness/inngestapi", "harness/internal/ranlog", "harness/internal/endpoint", helpers}, why: "the suite of every backend imports none"},

	{of: []string{"harness/cmd/..."}, may: []string{"harness/...", "docs"}, why: "commands use everything, but the app and its tests"},
	{of: []string{"example.test/..."}, may: []string{"harness/..."}, why: "an example is what a user of the harness writes"},
	{of: []string{"e2e/..."}, may: []string{"fixtures/...", "app/...", "harness/...", "e2e/..."}, why: "the end-to-end tests use everything; nothing imports them"},
}

// helpers matches the internal packages without a rule of their own.
const helpers = "harness/internal/..."

func TestImports_KeepTheRules(t *testing.T) {
	t.Parallel()
	for _, b := range violations(packages(t), rules) {
		t.Error(b)
	}
}

// Rules only name packages of earlier rules, of their own, or helpers: so no package imports upward.
func TestImportRules_GoFromBottomToTop(t *testing.T) {
	t.Parallel()
	earlier := []string{helpers}
	for _, r := range rules {
		require.NotEmpty(t, r.why, "%v", r.of)
		earlier = append(earlier, r.of...)
		for _, m := range r.may {
			known := slices.ContainsFunc(earlier, func(of string) bool { return matchesPattern(strings.TrimSuffix(m, "/..."), of) || of == m })
			known = known || slices.ContainsFunc(earlier, func(of string) bool { return matchesPattern(strings.TrimSuffix(of, "/..."), m) })
			require.True(t, known, "the rule of %v names %s, which stands in no earlier rule", r.of, m)
		}
	}
}

// violations returns the imports that break a rule, and the packages without one.
func violations(all []pkg, rules []rule) []string {
	var broken []string
	for _, p := range all {
		i := slices.IndexFunc(rules, func(r rule) bool { return matchesAny(p.short(), r.of) })
		if i < 0 {
			broken = append(broken, p.short()+" has no rule: add one")
			continue
		}
		r := rules[i]
		for _, imported := range p.Imports {
			short, ours := strings.CutPrefix(imported, modulePrefix)
			first, _, _ := strings.Cut(imported, "/")
			switch {
			case ours && !r.allows(short):
				broken = append(broken, fmt.Sprintf("%s imports %s, which it may not: %s", p.short(), short, r.why))
			case !ours && r.std && strings.Contains(first, "."):
				broken = append(broken, fmt.Sprintf("%s imports %s, which it may not: %s", p.short(), imported, r.why))
			}
		}
		// Tests may import more, but not what would tie the modules together.
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			short, ours := strings.CutPrefix(imported, modulePrefix)
			mine, _, _ := strings.Cut(p.short(), "/")
			module, _, _ := strings.Cut(short, "/")
			if ours && module != mine && mine != "e2e" && !(mine == "example.test" && module == "harness") && !(mine == "app" && module == "fixtures") {
				broken = append(broken, fmt.Sprintf("the tests of %s import %s, which they may not: only e2e tests modules together", p.short(), short))
			}
		}
	}
	return broken
}

// allows reports whether packages of the rule may import a package of ours. A package with a rule of its own is a helper
// only if it needs nothing but the standard library.
func (r rule) allows(path string) bool {
	return slices.ContainsFunc(slices.Concat(r.may, r.of), func(pattern string) bool {
		own := ruleOf(path)
		return matchesPattern(path, pattern) && (pattern != helpers || slices.Contains(own.of, helpers) || own.std)
	})
}

// ruleOf returns the rule of a package.
func ruleOf(path string) rule {
	i := slices.IndexFunc(rules, func(r rule) bool { return matchesAny(path, r.of) })
	if i < 0 {
		return rule{}
	}
	return rules[i]
}

func matchesAny(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matchesPattern(path, p) })
}

func matchesPattern(path, pattern string) bool {
	below, ok := strings.CutSuffix(pattern, "/...")
	return path == below || ok && strings.HasPrefix(path, below+"/")
}

func TestViolations_AreFound(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"the tests of app/email import harness/inbox, which they may not: only e2e tests modules together",
		"fixtures imports app, which it may not: fixtures are data, for tests of any module",
		"fixtures imports example.test/x, which it may not: fixtures are data, for tests of any module",
		"harness imports harness/stack, which it may not: the root package holds the nouns and no I/O",
		"harness/unknown has no rule: add one",
	}, violations([]pkg{
		{ImportPath: modulePrefix + "app/email", Imports: []string{modulePrefix + "app"}, XTestImports: []string{modulePrefix + "harness/inbox", modulePrefix + "fixtures"}},
		{ImportPath: modulePrefix + "fixtures", Imports: []string{"embed", modulePrefix + "app", "example.test/x"}},
		{ImportPath: modulePrefix + "harness", Imports: []string{modulePrefix + "harness/stack"}},
		{ImportPath: modulePrefix + "harness/unknown"},
		{ImportPath: modulePrefix + "harness/cmd/harness", Imports: []string{modulePrefix + "harness/containers"}},
	}, rules))
}

// The servers are separate programs. The licence of the Inngest server, the SSPL, is one more reason.
func TestImports_NameNoServer(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, i := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for _, server := range []string{"github.com/inngest/inngest/", "github.com/mailhog/", "github.com/axllent/", "github.com/FerretDB/"} {
				require.False(t, strings.HasPrefix(i, server), "%s imports %s", p.short(), i)
			}
		}
	}
}

// The parts of the app do not know how they are counted and traced.
func TestImports_OfOpenTelemetryAreInOnePackage(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, i := range p.Imports {
			used := strings.HasPrefix(i, "go.opentelemetry.io/") || strings.HasPrefix(i, "github.com/prometheus/")
			require.False(t, used && p.short() != "app/telemetry", "%s imports %s: count and trace it in app/telemetry", p.short(), i)
		}
	}
}

// Only test packages link package testing, whose flags would appear in programs.
func TestImports_OfTestingAreInTestPackages(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if slices.Contains(p.Imports, "testing") {
			require.Regexp(t, `(test|^e2e.*)$`, p.Name, "%s links package testing; only packages named …test may", p.short())
		}
	}
}

// Without Docker the command compiles nothing of its client.
func TestImports_WithoutDockerNameNoClientOfIt(t *testing.T) {
	t.Parallel()
	const client = "testcontainers|moby|docker/docker"
	require.NotRegexp(t, client, goOutput(t, "list", "-deps", "-tags", "nodocker", "./harness/cmd/harness"))
	require.Regexp(t, client, goOutput(t, "list", "-deps", "./harness/cmd/harness"))
}

// pkg is a package as `go list -json` describes it.
type pkg struct {
	ImportPath, Dir, Name, Doc                  string
	GoFiles, Imports, TestImports, XTestImports []string
}

// short returns the import path within the workspace.
func (p pkg) short() string { return strings.TrimPrefix(p.ImportPath, modulePrefix) }

// listed are the packages of the workspace, which are listed once.
var listed struct {
	once sync.Once
	all  []pkg
}

func packages(t *testing.T) []pkg {
	t.Helper()
	listed.once.Do(func() { listed.all = list(t) })
	require.NotEmpty(t, listed.all)
	return listed.all
}

func list(t *testing.T) (all []pkg) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(goOutput(t, "list", "-json=ImportPath,Dir,Name,Doc,GoFiles,Imports,TestImports,XTestImports", "work")))
	for {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
	return all
}
