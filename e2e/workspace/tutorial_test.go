package workspace_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test follows docs/writing-tests.md from its first line to its last, in a module of its own: it writes the files, makes
// the changes, runs the commands, and compares their output. In an output a line with only … stands for any number of
// lines, and what differs from run to run is replaced by a name before comparing.
func TestTutorial_CommandsPrintWhatItShows(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.follow(tutorial)
	require.Nil(t, r.up, "the tutorial left its stack up")
}

// reader follows a document.
type reader struct {
	*testing.T
	dir string
	env []string // added to that of the test
	// packages is the directory with the package.json and the lock file that pin what the document installs with npm.
	packages string
	up       *terminal
}

func newReader(t *testing.T) *reader {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	dir, bin := filepath.Join(base, "shop"), filepath.Dir(builtHarness(t))
	return &reader{T: t, dir: dir, packages: "harness/explore/testdata/js/", env: []string{
		"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"GOWORK=" + filepath.Join(dir, "go.work"), "GOFLAGS=-mod=readonly " + goFlags,
		"HARNESS_BIN=" + builtHarness(t), "HARNESS_PAGE=off", "NO_COLOR=1", "HARNESS_BACKENDS=", "HARNESS_UPDATE=", "HARNESS_EVIDENCE=", "HARNESS_REPORT=", "HARNESS_RAN=",
	}}
}

// follow does what a document says, from its first line to its last.
func (r *reader) follow(doc string) {
	r.Helper()
	for _, b := range blocks(doc, read(r.T, doc)) {
		switch {
		case b.lang == "console":
			for _, c := range consoleOf(b) {
				r.enter(c)
			}
		case b.lang == "diff":
			r.edit(b)
		case b.file != "":
			r.write(b.file, b.text)
		}
	}
}

func (r *reader) write(name, text string) {
	r.Helper()
	file := filepath.Join(r.dir, filepath.FromSlash(name))
	require.NoError(r, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(r, os.WriteFile(file, []byte(text), 0o644))
}

// edit applies a diff: it replaces the lines that begin with - by those that begin with +. Those that begin with a space stay.
func (r *reader) edit(b block) {
	r.Helper()
	var before, after string
	for line := range strings.Lines(b.text) {
		switch line[0] {
		case '-':
			before += line[1:]
		case '+':
			after += line[1:]
		default: // a line that stays
			before += line[1:]
			after += line[1:]
		}
	}
	text, err := os.ReadFile(filepath.Join(r.dir, b.file))
	require.NoError(r, err)
	require.Equal(r, 1, strings.Count(string(text), before), "%s:%d: %s does not have exactly one place with\n%s", b.doc, b.line, b.file, before)
	r.write(b.file, strings.Replace(string(text), before, after, 1))
}

// command is a line to type, with the output that the document shows.
type command struct {
	doc          string
	at           int // its line there
	line, output string
}

// consoleOf returns the commands of a console block.
func consoleOf(b block) []command {
	var all []command
	n := b.line
	for line := range strings.Lines(b.text) {
		n++
		if typed, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, command{doc: b.doc, at: n, line: strings.TrimSpace(typed)})
		} else if len(all) > 0 {
			all[len(all)-1].output += line
		}
	}
	return all
}

// enter runs a command. Those that would fetch a published module take it from this repository instead: that the
// published one can be fetched is what TestTheHarnessWorksAsADependency shows.
func (r *reader) enter(c command) {
	r.Helper()
	switch {
	case strings.HasPrefix(c.line, "mkdir shop"):
		require.NoError(r, os.MkdirAll(r.dir, 0o755))
	case strings.HasPrefix(c.line, "go mod init"):
		// What `go mod init` does, and go.work in place of a published version.
		r.write("go.mod", "module example.test/shop\n\ngo 1.26.4\n")
		harness := filepath.ToSlash(filepath.Join(root(r.T), "harness"))
		r.write("go.work", "go 1.26.4\n\nuse (\n\t.\n\t"+harness+"\n)\n\nreplace "+modulePrefix+"harness v0.1.0 => "+harness+"\n")
		r.write("go.sum", read(r.T, "harness/go.sum"))
	case strings.HasPrefix(c.line, "go get "):
		for _, module := range strings.Fields(c.line)[2:] {
			r.run(command{doc: c.doc, at: c.at, line: "go mod edit -require " + module})
		}
	case strings.HasPrefix(c.line, "npm install "):
		r.install(c)
	case strings.HasPrefix(c.line, "go install "):
		// newReader has built it.
	case strings.HasPrefix(strings.TrimPrefix(c.line, "npx "), "harness up "):
		r.startUp(c)
	case strings.HasPrefix(c.line, "harness explore "):
		c.line += " 2>progress.log" // how much there is depends on the machine
		r.run(c)
	default:
		r.run(c)
		if strings.TrimPrefix(c.line, "npx ") == "harness down" {
			require.NoError(r, r.up.cmd.Wait(), "harness up")
			r.up = nil
		}
	}
}

// install installs packages of npm as a lock file of this repository has them, with all that they need themselves. What the document
// has written into package.json stays.
func (r *reader) install(c command) {
	r.Helper()
	// Packages of this repository are named by their paths.
	here := strings.NewReplacer(`"file:../../`, `"file:`+filepath.ToSlash(root(r.T))+"/").Replace
	var pinned, own map[string]json.RawMessage
	require.NoError(r, json.Unmarshal([]byte(here(read(r.T, r.packages+"package.json"))), &pinned))
	for _, p := range strings.Fields(c.line)[2:] {
		name, version, _ := strings.Cut(p, "@")
		if name != "" && !strings.HasPrefix(name, "-") {
			require.Contains(r, string(pinned["dependencies"])+string(pinned["devDependencies"]), strconv.Quote(name)+": "+strings.TrimSuffix(strconv.Quote(version), `"`), "%s:%d", c.doc, c.at)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "node_modules")); err == nil {
		return // with an earlier command
	}
	if text, err := os.ReadFile(filepath.Join(r.dir, "package.json")); err == nil {
		require.NoError(r, json.Unmarshal(text, &own))
	}
	maps.Copy(pinned, own)
	merged, err := json.MarshalIndent(pinned, "", "  ")
	require.NoError(r, err)
	r.write("package.json", string(merged))
	r.write("package-lock.json", here(read(r.T, r.packages+"package-lock.json")))
	out, err := r.shell("npm ci --ignore-scripts --install-links --prefer-offline --no-audit --no-fund").CombinedOutput()
	require.NoError(r, err, "%s", out)
}

func (r *reader) shell(line string) *exec.Cmd {
	cmd := exec.CommandContext(r.Context(), "sh", "-c", line)
	cmd.Dir, cmd.Env = r.dir, slices.Concat(os.Environ(), []string{"PWD=" + r.dir}, r.env)
	cmd.WaitDelay = 10 * time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}

func (r *reader) run(c command) {
	r.Helper()
	// The output shows whether it should succeed.
	out, err := r.shell(c.line).CombinedOutput()
	got := r.normal(string(out))
	if !matches(lines(r.normal(c.output)), lines(got)) {
		r.Fatalf("%s:%d: %s (%v) prints\n%s\nThe document shows\n%s", c.doc, c.at, c.line, err, got, r.normal(c.output))
	}
}

// startUp starts a program that keeps running, and waits until it has printed what the document shows.
func (r *reader) startUp(c command) {
	r.Helper()
	cmd := r.shell("exec " + c.line)
	term := &terminal{cmd: cmd, news: make(chan struct{}, 1)}
	pr, pw := io.Pipe()
	cmd.Stdout, cmd.Stderr = pw, pw
	require.NoError(r, cmd.Start())
	r.up = term
	r.Cleanup(func() {
		_ = cmd.Cancel() // this and the next have no effect where it has ended
		_ = cmd.Wait()
		_ = pw.Close()
	})
	go term.read(pr)
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Minute)
	defer cancel()
	for !matches(lines(r.normal(c.output)), lines(r.normal(term.text()))) {
		select {
		case <-term.news:
		case <-ctx.Done():
			r.Fatalf("%s:%d: %s has printed only\n%s", c.doc, c.at, c.line, term.text())
		}
	}
}

// terminal is a program that keeps running, with its output.
type terminal struct {
	cmd  *exec.Cmd
	news chan struct{}

	mu  sync.Mutex
	out strings.Builder
}

func (t *terminal) read(from io.Reader) {
	s := bufio.NewScanner(from)
	for s.Scan() {
		t.mu.Lock()
		t.out.WriteString(s.Text() + "\n")
		t.mu.Unlock()
		select {
		case t.news <- struct{}{}:
		default:
		}
	}
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.String()
}

// varying lists what differs from run to run.
var varying = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\b01[0-9A-HJKMNP-TV-Z]{24}\b`), "ULID"},
	{regexp.MustCompile(`\b[a-z2-7]{10}((?:-[a-z]+)?@plant\.test)`), "SALT$1"},
	{regexp.MustCompile(`-[0-9a-f]{10}(@example\.test)`), "-SALT$1"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d(\.\d+)?\b`), "CLOCK"},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?(s|ms|µs)\b`), "TIME"},
	{regexp.MustCompile(`(?m)dev server v.*$`), "dev server"},          // the version depends on what is installed,
	{regexp.MustCompile(`(?m)(FerretDB|MongoDB) v?\d.*$`), "database"}, // and so does the database
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\b\d+( of \d+)? (schedules|single faults|pairs|violations)\b`), "N $2"},
	{regexp.MustCompile(`(\S)[ \t]{2,}`), "$1  "}, // columns are as wide as their contents
}

// progress matches what a suite prints where its servers take long to start.
var progress = regexp.MustCompile(`(?m)^harnesstest: (mongo|mailhog|inngest|app) .*\n`)

// pageLinks matches what is printed where Inngest's page is in the cache.
var pageLinks = regexp.MustCompile(`(?m)^  in Inngest's page:\n(    .*\n)+|^ *http://\S+/run\?runID=.*\n|^\na run in Inngest's page: .*\n`)

func (r *reader) normal(text string) string {
	text = strings.ReplaceAll(text, r.dir, "/home/kim/shop")
	text = progress.ReplaceAllString(text, "")
	text = pageLinks.ReplaceAllString(text, "")
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.name)
	}
	return text
}

func lines(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }

// matches reports whether got equals want, in which … stands for any number of lines.
func matches(want, got []string) bool {
	switch {
	case len(want) == 0:
		return len(got) == 0
	case strings.TrimSpace(want[0]) == "…":
		for i := range len(got) + 1 {
			if matches(want[1:], got[i:]) {
				return true
			}
		}
		return false
	default:
		return len(got) > 0 && strings.TrimRight(want[0], " \t") == strings.TrimRight(got[0], " \t") && matches(want[1:], got[1:])
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	got := []string{"a", "b", "c", "d"}
	for want, ok := range map[string]bool{
		"a b c d": true, "a … d": true, "… c d": true, "a …": true, "…": true, "… b … d …": true, "a b c d …": true,
		"a b c": false, "b …": false, "… c": false, "a d": false, "a … c … b …": false,
	} {
		require.Equal(t, ok, matches(strings.Fields(want), got), want)
	}
}
