package toolchain

import (
	"context"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// versionTime bounds the wait for a program to print its version.
const versionTime = 10 * time.Second

var (
	// `inngest version` prints the version, a dash, and a release's commit. A build from the module has no commit, and no
	// web page.
	semanticVersion = regexp.MustCompile(`\bv?(\d+)\.(\d+)\.(\d+)`)
	releaseCommit   = regexp.MustCompile(`-[0-9a-f]{7,}\s*$`)

	mongoVersion = regexp.MustCompile(`(?m)^db version v?(\S+)`)
)

// named returns the program that a variable names. If that does not work, it is an error.
func (f *finder) named(ctx context.Context) (bin Binary, found bool, err error) {
	variable := f.recipe.variable
	value := f.env(variable)
	if value == "" {
		return Binary{}, false, nil
	}
	bin = Binary{Tool: f.recipe.tool, Source: variable}
	if bin.Path, err = f.lookPath(value); err == nil {
		bin, err = f.ask(ctx, bin)
	}
	if err != nil {
		return Binary{}, false, &Error{
			Doing: fmt.Sprintf("use %s=%s", variable, value),
			Why:   err.Error(), Fix: "Let it name a program that runs, or unset it.", Err: err,
		}
	}
	return bin, true, nil
}

// installed returns an Inngest release in PATH that is new enough.
func (f *finder) installed(ctx context.Context) (bin Binary, found bool) {
	if f.recipe.tool != harness.ServiceInngest || f.env("HARNESS_IGNORE_INSTALLED") == "1" {
		return Binary{}, false
	}
	for _, name := range []string{"inngest", "inngest-cli"} {
		path, err := f.lookPath(name)
		if err != nil {
			continue
		}
		bin, err := f.ask(ctx, Binary{Tool: f.recipe.tool, Path: path, Source: SourceInstalled})
		if err == nil && bin.Version != "" && atLeast(bin.Version, f.recipe.version) {
			return bin, true
		}
	}
	return Binary{}, false
}

// ask completes bin with what the program reports.
func (f *finder) ask(ctx context.Context, bin Binary) (Binary, error) {
	args := []string{"--version"}
	switch f.recipe.tool {
	case harness.ServiceInngest:
		args = []string{"version"}
	case Mailpit:
		args = []string{"version", "--no-release-check"}
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin.Path, args...)
	cmd.Env = append(os.Environ(), "DO_NOT_TRACK=1") // also keeps it from looking for updates
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return bin, fmt.Errorf("%s %s: %w", bin.Path, strings.Join(args, " "), err)
	}

	switch f.recipe.tool {
	case harness.ServiceInngest:
		if m := semanticVersion.FindSubmatch(out); m != nil {
			bin.Version = fmt.Sprintf("v%s.%s.%s", m[1], m[2], m[3])
			bin.HasUI = releaseCommit.Match(out)
		}
	case harness.ServiceMailHog:
		_, version, _ := strings.Cut(string(out), "version:") // empty in a build that is not stamped
		bin.Version = strings.TrimSpace(version)
		bin.HasUI = true
	case Mailpit: // prints its path, and then the version, which is "dev" in a build that is not stamped
		version, _, _ := strings.Cut(strings.TrimPrefix(string(out), bin.Path), " compiled with ")
		if m := semanticVersion.FindStringSubmatch(version); m != nil {
			bin.Version = fmt.Sprintf("v%s.%s.%s", m[1], m[2], m[3])
			bin.HasUI = true
		}
	case harness.ServiceMongo:
		m := mongoVersion.FindSubmatch(out)
		if m == nil {
			return bin, fmt.Errorf("%s %s names no version of MongoDB but prints %q", bin.Path, args[0], firstLine(out))
		}
		bin.Version = "v" + string(m[1])
		bin.Database = "MongoDB " + string(m[1])
	}
	return bin, nil
}

// lookPath finds a program by path, or by name in PATH, and makes its path absolute.
func (f *finder) lookPath(name string) (string, error) { return lookPath(name, f.env("PATH")) }

func lookPath(name, dirs string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) || strings.ContainsRune(name, '/') {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", err
		}
		return filepath.Abs(path)
	}
	for _, dir := range filepath.SplitList(dirs) {
		// A relative one would name a folder of the working directory.
		if !filepath.IsAbs(dir) {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no %s in PATH: %w", name, exec.ErrNotFound)
}

// atLeast compares versions such as v1.43.0 by their numbers. Go's own versions have the same three.
func atLeast(have, least string) bool {
	return version.Compare("go"+strings.TrimPrefix(have, "v"), "go"+strings.TrimPrefix(least, "v")) >= 0
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}
