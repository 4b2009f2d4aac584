package toolchain

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/tools"
)

// buildFlags make a small program that is the same wherever it is built. Packages are compiled as by the Makefile, with which they
// share the build cache.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags=-s -w"}

// A recipe says how to build one tool.
type recipe struct {
	tool     harness.Service
	variable string // the environment variable that names a program to use instead
	name     string // of the program, and of the sources in package tools
	label    string // the name in messages
	module   string // the module whose version is pinned in go.mod
	pkg      string // the package to build
	tags     string // build tags
	takes    string // how long a first build takes on two cores, for messages

	// Changes that the build makes to a copy of the modules, since the module cache must not be changed.
	lacksEmbed bool // see placeholder
	patches    []tools.Patch

	// What the sources state.
	version string
	minGo   string // such as "go1.26.4"
	files   map[string][]byte
}

// recipes are those of the tools that a stack has, without what recipeOf reads from the sources, in the order of [Tools].
var recipes = []recipe{
	{
		// Not stamped with a version: an unstamped server sends no telemetry, whatever its environment says.
		tool: harness.ServiceInngest, variable: "INNGEST_BIN", name: "inngest", label: "Inngest", module: "github.com/inngest/inngest",
		pkg: "github.com/inngest/inngest/cmd", lacksEmbed: true, takes: "about 4 minutes",
	},
	{
		tool: harness.ServiceMongo, variable: "MONGOD_BIN", name: "ferretdb", label: "FerretDB", module: "github.com/FerretDB/FerretDB",
		pkg: ".", tags: "ferretdb_no_postgresql", takes: "about 40 seconds",
	},
	{
		tool: harness.ServiceMailHog, variable: "MAILHOG_BIN", name: "mailhog", label: "MailHog", module: "github.com/mailhog/MailHog",
		pkg: "github.com/mailhog/MailHog", takes: "about 20 seconds",
	},
}

// Mailpit catches emails in the place of MailHog where it is chosen.
const Mailpit = harness.Service(harness.Mailpit)

// Caddy is the balancer of the compose profile production. No stack runs it.
const Caddy harness.Service = "caddy"

// others are the recipes of what a stack has only where it is asked for, or never: none of the [Tools].
var others = []recipe{
	{
		// Not stamped with a version: only a release has the page.
		tool: Mailpit, variable: "MAILPIT_BIN", name: "mailpit", label: "Mailpit", module: "github.com/axllent/mailpit",
		pkg: "github.com/axllent/mailpit", takes: "about a minute",
	},
	{
		tool: Caddy, name: "caddy", label: "Caddy", module: "github.com/caddyserver/caddy/v2",
		pkg: "github.com/caddyserver/caddy/v2/cmd/caddy", takes: "about 2 minutes",
	},
}

// placeholder replaces, in a vendored copy of Inngest, the documentation that one of its packages embeds and that its module
// zip lacks, since it is a git submodule.
const (
	placeholder     = "vendor/github.com/inngest/inngest/internal/embeddocs/website/pages/docs/README.md"
	placeholderText = "This build has no documentation pages.\n"
	missingEmbed    = "github.com/inngest/inngest/internal/embeddocs"
)

func recipeOf(t harness.Service) (recipe, error) {
	all := append(slices.Concat(recipes, others), page)
	i := slices.IndexFunc(all, func(r recipe) bool { return r.tool == t })
	if i < 0 {
		return recipe{}, fmt.Errorf("there is no tool %q; the tools are %v", t, append(Tools(), Mailpit))
	}
	r := all[i]
	var err error
	if r.files, err = tools.Sources(r.name); err != nil {
		return recipe{}, err
	}
	if t == Page { // it is of the server's module
		server, err := tools.Sources(string(harness.ServiceInngest))
		if err != nil {
			return recipe{}, err
		}
		maps.Copy(r.files, server)
	}
	r.patches = tools.Patches(r.name)
	// A go.mod names a module at most once among what it requires, and its own Go version on a line of its own.
	for line := range strings.Lines(string(r.files["go.mod"])) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		switch {
		case len(words) >= 2 && words[0] == r.module:
			r.version = words[1]
		case len(words) == 2 && words[0] == "go":
			r.minGo = "go" + words[1]
		}
	}
	if r.version == "" || r.minGo == "" {
		return recipe{}, fmt.Errorf("the go.mod of %s states no version of %s, or none of Go", r.name, r.module)
	}
	return r, nil
}

func (r recipe) title() string { return r.label + " " + r.version }

// vendored reports whether the build needs its own copy of the modules.
func (r recipe) vendored() bool { return r.lacksEmbed || len(r.patches) > 0 }

// buildName names a build after all its inputs.
func (r recipe) buildName(goos, goarch, goVersion string) string {
	how := fmt.Sprintf("%s %s %q %q %t %s %q", sumSuffix, r.pkg, r.tags, buildFlags, r.vendored(), placeholder, placeholderText)
	return fmt.Sprintf("%s-%s-%s-%s-%s-%s", r.name, r.version, goos, goarch, goVersion, r.hash(how))
}

// hash returns a hash of the recipe's sources and patches, and of how they are built.
func (r recipe) hash(how string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		fmt.Fprintf(h, "%s %d\n%s", name, len(r.files[name]), r.files[name])
	}
	fmt.Fprint(h, how)
	for _, p := range r.patches {
		fmt.Fprintf(h, " %s %q %q %d", p.File, p.Old, p.New, p.Times)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// writeSources writes the module for the go command.
func (r recipe) writeSources(dir string) error {
	for name, text := range r.files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writePlaceholder adds the placeholder to a vendor folder.
func (r recipe) writePlaceholder(dir string) error {
	file := filepath.Join(dir, filepath.FromSlash(placeholder))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(placeholderText), 0o644)
}

// misfit says that a patch does not fit the module that the go command downloaded.
type misfit struct {
	patch tools.Patch
	found int
}

func (e *misfit) Error() string {
	return fmt.Sprintf("%s has %q %d times, not %d times", e.patch.File, strings.TrimSpace(e.patch.Old), e.found, e.patch.Times)
}

// applyPatches patches the sources in a directory.
func (r recipe) applyPatches(dir string) error {
	for _, p := range r.patches {
		file := filepath.Join(dir, filepath.FromSlash(p.File))
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // then the patch does not fit
			return err
		}
		if found := strings.Count(string(text), p.Old); found != p.Times {
			return &misfit{p, found}
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), p.Old, p.New)), 0o644); err != nil {
			return err
		}
	}
	return nil
}
