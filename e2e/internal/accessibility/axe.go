// Package accessibility finds what keeps people from using a page: with axe-core, and with the Tab key.
//
//	tab, cancel, err := browser.Open(ctx, 1280, 900)
//	…
//	findings, err := accessibility.Check(tab)    // what axe-core reports
//	findings, err = accessibility.Keyboard(tab)  // controls that Tab does not reach, or that do not show the focus
//
// Both look at the page that the tab shows, as it is now. axe-core is installed with npm into a folder of the user's cache,
// in the version that package-lock.json pins.
package accessibility

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Finding is one problem of a page.
type Finding struct {
	Rule   string   // axe-core's name of the rule; or "keyboard"
	Impact string   // critical, serious, moderate or minor
	Text   string   // what is wrong
	Where  []string // the elements, as HTML
}

func (f Finding) String() string {
	return fmt.Sprintf("%s (%s), %d ×: %s\n    %s", f.Rule, f.Impact, len(f.Where), f.Text, strings.Join(f.Where, "\n    "))
}

// run has axe-core apply its rules for WCAG 2.2 at level AA, its best practices, and its experimental rules. What is in frames
// is not looked at: the pages show emails there, which are documents of their own.
const run = `axe.run(document, {
	iframes: false,
	resultTypes: ['violations'],
	runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice', 'experimental'],
}).then(r => r.violations.map(v => ({
	rule: v.id, impact: v.impact, text: v.help,
	where: v.nodes.map(n => n.html + ' ' + n.any.concat(n.all, n.none).map(c => c.message).join('; ')),
})))`

// Check returns what axe-core reports of the page in the tab, whatever its impact.
func Check(tab context.Context) ([]Finding, error) {
	loaded, err := evaluate[bool](tab, `window.axe !== undefined`)
	if err != nil {
		return nil, err
	}
	if !loaded {
		axe, err := source(tab)
		if err != nil {
			return nil, err
		}
		// Its own last value is an object too large to be sent.
		if _, err := evaluate[bool](tab, axe+"\n;true"); err != nil {
			return nil, err
		}
	}
	return evaluate[[]Finding](tab, run)
}

//go:embed package.json package-lock.json
var pins embed.FS

// source returns the program axe-core, which it installs where it is not yet.
func source(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	lock, err := pins.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "inngest-harness-axe", hex.EncodeToString(sum[:6]))
	file := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if program, err := os.ReadFile(file); err == nil {
		return string(program), nil
	}
	if err := install(ctx, dir); err != nil {
		return "", fmt.Errorf("install axe-core: %w", err)
	}
	program, err := os.ReadFile(file)
	return string(program), err
}

// install has npm install what the lock pins into dir, which appears at once and complete, whatever other processes do.
func install(ctx context.Context, dir string) (err error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("no npm in PATH: install Node.js with npm (Debian: apt-get install npm)")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(dir), "install-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if err := os.CopyFS(scratch, pins); err != nil {
		return err
	}
	ci := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	ci.Dir = scratch
	if out, err := ci.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, out)
	}
	if err := os.Rename(scratch, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
