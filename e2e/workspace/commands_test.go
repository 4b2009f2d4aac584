package workspace_test

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Commands that documents, the Makefile and CI contain refer to what exists: targets, packages, tests, and the flags of
// the harness. In particular a `go test -run` that matches no test would pass.
func TestCommands_ReferToWhatExists(t *testing.T) {
	t.Parallel()
	c := newCommandChecker(t)
	for _, doc := range documents(t) {
		if doc == tutorial {
			continue // TestTutorial_CommandsPrintWhatItShows runs its commands, in another module
		}
		for _, line := range documentCommands(read(t, doc)) {
			assert.NoError(t, c.check(line), "%s: %s", doc, line)
		}
	}
	scripts := files(t, "scripts", "*.sh")
	for _, file := range append(scripts, "Makefile", ".ci/run", ".github/workflows/ci.yml", ".github/actions/setup/action.yml") {
		for line := range strings.Lines(read(t, file)) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "#") {
				continue
			}
			assert.NoError(t, c.check(strings.TrimPrefix(strings.TrimPrefix(line, "@"), "- run: ")), "%s: %s", file, line)
		}
	}
}

// inline matches a command in a sentence, indented one in a block of its own, and prompt one in a console block.
var (
	inline   = regexp.MustCompile("`((?:[A-Z_]+=\\S+\\s)*(?:make|harness|go)\\s[^`]+)`")
	indented = regexp.MustCompile(`(?m)^(?:    |\$ )\$? ?((?:[A-Z_]+=\S+ )*(?:make|go|harness) .*)$`)
	fence    = regexp.MustCompile("(?ms)^```.*?^```")
)

// documentCommands returns the commands of a document.
func documentCommands(text string) []string {
	var commands []string
	for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		commands = append(commands, strings.Join(strings.Fields(m[1]), " "))
	}
	for _, m := range indented.FindAllStringSubmatch(text, -1) {
		line, _, _ := strings.Cut(m[1], "  ") // an explanation follows
		commands = append(commands, line)
	}
	return commands
}

// commandChecker checks single lines of shell.
type commandChecker struct {
	t       *testing.T
	targets []string
	help    map[string]string // by subcommand
}

func newCommandChecker(t *testing.T) *commandChecker {
	t.Helper()
	return &commandChecker{t: t, targets: makeTargets(t), help: map[string]string{}}
}

func (c *commandChecker) check(line string) error {
	dir := "."
	for part := range strings.SplitSeq(line, "&&") {
		words := strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(part))
		for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) < 2 {
			continue
		}
		var err error
		switch words[0] {
		case "cd":
			dir = words[1]
		case "make":
			target := words[len(words)-1]
			for _, w := range words[1:] {
				if !strings.Contains(w, "=") && !strings.HasPrefix(w, "-") {
					target = w
				}
			}
			if regexp.MustCompile(`^[a-z-]+$`).MatchString(target) && !slices.Contains(c.targets, target) {
				err = fmt.Errorf("the Makefile has no target %s", target)
			}
		case "go":
			err = c.checkGo(dir, words[1:])
		case "harness":
			err = c.checkHarness(words[1:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkGo checks that the directories which a command names exist, and that its patterns match tests or benchmarks there.
func (c *commandChecker) checkGo(dir string, words []string) error {
	var tests, benchmarks []string
	packages := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, "./") })
	if len(packages) == 0 {
		packages = []string{"."}
	}
	for _, p := range packages {
		p = path.Join(dir, strings.TrimSuffix(p, "/..."))
		entries, err := os.ReadDir(filepath.Join(root(c.t), p))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), "_test.go") {
				for _, m := range regexp.MustCompile(`(?m)^func ((Test|Benchmark)\w*)\(`).FindAllStringSubmatch(read(c.t, path.Join(p, e.Name())), -1) {
					if m[2] == "Test" {
						tests = append(tests, m[1])
					} else {
						benchmarks = append(benchmarks, m[1])
					}
				}
			}
		}
	}
	if words[0] != "test" {
		return nil
	}
	for flag, names := range map[string][]string{"-run": tests, "-bench": benchmarks} {
		i := slices.Index(words, flag)
		if i < 0 || i+1 == len(words) {
			continue
		}
		pattern, _, _ := strings.Cut(words[i+1], "/")
		if strings.Contains(pattern, "$(") || slices.Contains([]string{"none", "^$", "^$$", "$1"}, pattern) {
			continue // chosen by the caller, or meant to match nothing
		}
		for alternative := range strings.SplitSeq(pattern, "|") {
			match, err := regexp.Compile(alternative)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(names, match.MatchString) {
				return fmt.Errorf("%s %s matches nothing in %v", flag, alternative, packages)
			}
		}
	}
	return nil
}

// checkHarness checks that a subcommand and its flags exist.
func (c *commandChecker) checkHarness(words []string) error {
	own, _, _ := strings.Cut(strings.Join(words, " ")+" ", " -- ")
	var subcommand []string
	for _, w := range strings.Fields(own) {
		if !regexp.MustCompile(`^[a-z]+$`).MatchString(w) {
			break
		}
		subcommand = append(subcommand, w)
	}
	if len(subcommand) == 0 {
		return nil // a sentence that speaks of the harness
	}
	name := strings.Join(subcommand, " ")
	if _, ok := c.help[name]; !ok {
		out, err := exec.CommandContext(c.t.Context(), builtHarness(c.t), append(subcommand, "--help")...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("harness %s --help: %w: %s", name, err, out)
		}
		c.help[name] = string(out)
	}
	for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(own, -1) {
		if !strings.Contains(c.help[name], flag) {
			return fmt.Errorf("harness %s has no flag %s", name, flag)
		}
	}
	return nil
}

func TestCommands_ThatReferToNothingAreFound(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"make soak ROUNDS=1", "A=1 go run ./x", "make dev", "go test ./x", "A=1 make test"},
		documentCommands("Type `make soak\nROUNDS=1` or `A=1 go run ./x`:\n\n    $ make dev    starts it\n    mailhog ready\n```console\n$ go test ./x\nmake no command of this\n```\n    A=1 make test   # explained\n"))
	c := newCommandChecker(t)
	for line, want := range map[string]string{
		"make test && make gone":                                 "the Makefile has no target gone",
		"cd e2e/workspace && X=1 go test -run TestGone":          "-run TestGone matches nothing in [.]",
		"go test -run '^TestCommands_Th' ./e2e/workspace":        "",
		"go test -run TestCommands_Th ./e2e":                     "-run TestCommands_Th matches nothing in [./e2e]",
		"go test -run none -bench Gone|ThreeSteps ./harness/sim": "-bench Gone matches nothing in [./harness/sim]",
		"go run ./e2e/cmd/gone":                                  "open " + filepath.Join(root(t), "e2e/cmd/gone") + ": no such file or directory",
		"harness up --ports free -- npm --gone":                  "",
		"harness up --gone":                                      "harness up has no flag --gone",
	} {
		if err := c.check(line); want == "" {
			require.NoError(t, err, line)
		} else {
			require.EqualError(t, err, want, line)
		}
	}
}
