package workspace_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runBy is where a command of a document is run.
type runBy struct {
	file string // of this repository
	// form is the text in it that runs the command. Empty: the very command.
	form string
	// smaller says, where form is not the very command, what is different.
	smaller string
}

// typedHere is the file whose test types a command by itself.
const typedHere = "e2e/workspace/typed_test.go"

const dryRun = "only what make would run is printed, and compared: it takes minutes"

// documented are the commands in the documents, as a reader would type them, and what runs them. Those in the tutorial's
// blocks are run one by one by TestTheTutorialIsTrue.
var documented = map[string]runBy{
	"make dev":               {file: "e2e/workspace/make_test.go", form: `documentedCommand(t, "README.md", "make dev")`},
	"make dev PORTS=free":    {file: "e2e/workspace/make_test.go", form: `dev.line += " PORTS=free"`, smaller: "to make dev, the line is added"},
	"make demo":              {file: "e2e/workspace/make_test.go", form: `documentedCommand(t, "README.md", "make demo")`},
	"make review":            {file: "e2e/workspace/make_test.go", form: `documentedCommand(t, "docs/report.md", "make review")`},
	"make golden":            {file: "e2e/workspace/make_test.go", form: `r.shell("make golden")`},
	"make test":              {file: ".ci/run"},
	"make check":             {file: ".ci/run"},
	"make tools":             {file: ".ci/run"},
	"make browser":           {file: ".ci/run"},
	"make languages":         {file: ".ci/run"},
	"make images":            {file: ".ci/run", form: "make -s images", smaller: "without the echo of what it runs"},
	"make compose-up":        {file: ".github/workflows/ci.yml"},
	"make compose-down":      {file: ".github/workflows/ci.yml"},
	"make screenshots":       {file: typedHere, form: "make -n screenshots", smaller: dryRun},
	"make bench":             {file: typedHere, form: "make -n bench", smaller: dryRun},
	"make report":            {file: typedHere, form: "make -n report", smaller: dryRun},
	"make mutants":           {file: typedHere, form: "make -n mutants", smaller: dryRun},
	"make soak":              {file: typedHere, form: "make -n soak", smaller: dryRun},
	"make soak ROUNDS=1":     {file: typedHere, form: "make -n soak ROUNDS=1", smaller: dryRun},
	"make faults":            {file: typedHere, form: "make -n faults", smaller: dryRun},
	"make faults BURST=5000": {file: typedHere, form: "make -n faults BURST=5000", smaller: dryRun},

	"HARNESS_BACKENDS=local,containers make test": {file: ".ci/run"},
	`eval "$(make -s images)"`:                    {file: ".ci/run", form: `images=$(make -s images)`, smaller: "what it prints is evaluated in a line of its own"},
	"docker compose -f docker-compose.yml -f docker/compose.source.yml up --wait": {
		file: ".ci/run", form: "-f docker-compose.yml -f docker/compose.source.yml", smaller: "by scripts/compose.sh, in a project of its own",
	},

	"FAULTS_SEED=7 go test -count=1 -run 'TestFaultMatrix/burst' ./e2e/faults": {
		file: typedHere, form: "FAULTS_BURST=10 FAULTS_SEED=7 go test -count=1 -run 'TestFaultMatrix/burst' -v ./e2e/faults", smaller: "10 requests",
	},
	"go run ./e2e/cmd/mutants -run outbox ./e2e/faults": {
		file: typedHere, form: "go run ./e2e/cmd/mutants -run 'failure without' ./app", smaller: "one defect, against the tests of one package",
	},
	"go run ./e2e/cmd/bench -strict": {
		file: typedHere, form: "go run ./e2e/cmd/bench -strict -starts 1 -only start", smaller: "one start",
	},
	"HARNESS_BACKENDS=local,containers go run ./e2e/cmd/bench -only start,backends,memory": {
		file: typedHere, form: "HARNESS_BACKENDS=local go run ./e2e/cmd/bench -strict -starts 1 -only start", smaller: "one start, without containers",
	},
	"go test -run none -bench . ./harness/sim": {
		file: typedHere, form: "go test -run none -bench ThreeSteps -benchtime 1x ./harness/sim", smaller: "one of the benchmarks, once",
	},
	"go test -v ./harness/tap": {
		file: typedHere, form: "go test -v -run TestWatch ./harness/tap", smaller: "some of the tests",
	},
	"go test -run TestEveryTypicalRequest ./e2e": {file: "Makefile", form: "go test -count=1 -run TestEveryTypicalRequest ./e2e", smaller: "by make golden, uncached"},
	"go test work":                          {file: "Makefile", form: "go test -count=1 -timeout 20m -run '$(RUN)' work", smaller: "by make report"},
	"HARNESS_BACKENDS=attach go test ./e2e": {file: ".ci/run", form: "HARNESS_BACKENDS=attach go test -count=1 ./e2e", smaller: "uncached, and beside a project of its own"},
	"HARNESS_COMPOSE_PROJECT=inngest-harness HARNESS_BACKENDS=attach go test ./e2e": {file: ".ci/run", form: "HARNESS_BACKENDS=attach go test -count=1 ./e2e", smaller: "uncached, and beside a project of its own"},
	"HARNESS_REPORT=$PWD/report go test ./...":                                      {file: tutorial, form: "HARNESS_REPORT=$PWD/report go test", smaller: "by TestTheTutorialIsTrue, of one package"},
	"go test -count=1 ./...":                                                        {file: tutorial, form: "go test", smaller: "by TestTheTutorialIsTrue, of one package"},
	"go test ./...":                                                                 {file: tutorial, form: "go test", smaller: "by TestTheTutorialIsTrue, of one package"},
	"go install github.com/odoo-maintenance/inngest-harness/harness/cmd/harness@latest": {
		file: "e2e/workspace/dependency_test.go", form: `"go", "install"`, smaller: "of this tree, as a module from a proxy of its own",
	},

	"harness up":                    {file: "harness/cmd/harness/testdata/script/terminal.txtar", form: "harness up --backend local --ports free", smaller: "on free ports: the known ones may be somebody's"},
	"harness up --ports free":       {file: "harness/cmd/harness/testdata/script/doctor.txtar"},
	"harness up --help":             {file: typedHere, form: "go run ./harness/cmd/harness up --help"},
	"harness up --inngest sim":      {file: "harness/cmd/harness/testdata/script/sim.txtar", form: "harness up --backend local --inngest sim", smaller: "on free ports"},
	"harness up --samples DIR":      {file: "Makefile", form: "--samples fixtures/requests/typical", smaller: "by make dev"},
	"harness up -- npm run dev":     {file: "harness/cmd/harness/testdata/languages/node.txtar", form: "harness up --backend local --ports free -- node app.mjs", smaller: "node itself, without npm; on free ports"},
	"harness doctor":                {file: "harness/cmd/harness/testdata/script/doctor.txtar"},
	"harness down":                  {file: "harness/cmd/harness/testdata/script/up.txtar"},
	"harness status":                {file: "harness/cmd/harness/testdata/script/up.txtar"},
	"harness runs":                  {file: "harness/cmd/harness/testdata/script/events.txtar"},
	"harness expect":                {file: "harness/cmd/harness/testdata/script/events.txtar"},
	"harness skip":                  {file: "harness/cmd/harness/testdata/script/sim.txtar"},
	"harness skip 24h":              {file: "harness/cmd/harness/testdata/script/sim.txtar", form: "exec harness skip 25h", smaller: "an hour more"},
	"harness tools build":           {file: "harness/cmd/harness/testdata/script/tools.txtar"},
	`eval "$(harness env)"`:         {file: "harness/cmd/harness/testdata/script/up.txtar", form: "exec harness env", smaller: "what it prints is compared, not evaluated"},
	"harness report report":         {file: "harness/cmd/harness/testdata/script/report.txtar", form: "exec harness report recorded", smaller: "of a directory with another name"},
	"harness report --clear report": {file: "harness/cmd/harness/testdata/script/report.txtar", form: "exec harness report --clear recorded", smaller: "of a directory with another name"},
}

// TestEveryCommandInTheDocumentsIsRun: a command that a reader is told to type is one that a test types, or a smaller
// form of it, and the table above says which.
func TestEveryCommandInTheDocumentsIsRun(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, doc := range documents(t) {
		text := read(t, doc)
		commands := inlineCommands(text)
		if doc != tutorial {
			commands = append(commands, commandsIn(blocks(doc, text))...)
		}
		for _, c := range commands {
			if seen[c] {
				continue
			}
			seen[c] = true
			by, ok := documented[c]
			if assert.True(t, ok, "%s tells the reader to type %q: write a test that does, and name it in the table here", doc, c) {
				assert.NoError(t, by.runs(c, read(t, by.file)))
			}
		}
	}
	for c := range documented {
		assert.True(t, seen[c], "no document has the command %q any more: take it from the table", c)
	}
}

// runs returns an error unless a file of this text runs the command as the table says.
func (by runBy) runs(command, text string) error {
	form := cmp.Or(by.form, command)
	switch {
	case by.smaller == "" && !strings.Contains(form, command):
		return fmt.Errorf("%q is not the very command %q: say what is smaller about it", form, command)
	case !strings.Contains(text, form):
		return fmt.Errorf("%s should run %q by %q", by.file, command, form)
	}
	return nil
}

func TestARowThatSaysTooMuchIsFound(t *testing.T) {
	t.Parallel()
	require.NoError(t, runBy{file: "ci"}.runs("make test", "A=1 make test"))
	require.NoError(t, runBy{file: "ci", form: `r.shell("make test")`}.runs("make test", `r.shell("make test")`))
	require.NoError(t, runBy{file: "ci", form: "make -n test", smaller: dryRun}.runs("make test", "make -n test"))
	require.EqualError(t, runBy{file: "ci"}.runs("make test", "make check"), `ci should run "make test" by "make test"`)
	require.EqualError(t, runBy{file: "ci", form: "make"}.runs("make test", "make test"), `"make" is not the very command "make test": say what is smaller about it`)
}

// commandLine is a line of shell that begins with one of the programs that the documents use.
var commandLine = regexp.MustCompile(`^(\$ )?((?:[A-Z_]+=\S+ )*(?:(?:make|go|harness|docker|git|curl) [a-z-]|eval ).*)$`)

// recipeLine is a step of a recipe for a CI system that runs something of the reader's.
var recipeLine = regexp.MustCompile(`^\s*(?:- )?run: ((?:[A-Z_]+=\S+ )*(?:make|go|harness) .*)$`)

func commandsIn(all []block) []string {
	var commands []string
	for _, b := range all {
		for line := range strings.Lines(b.text) {
			if b.lang == "yaml" {
				if m := recipeLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
					commands = append(commands, m[1])
				}
				continue
			}
			if !slices.Contains([]string{"", "sh", "console"}, b.lang) {
				continue
			}
			line = strings.TrimSpace(line)
			if i := strings.Index(line, "  "); i >= 0 {
				line = line[:i] // what follows explains it
			}
			if m := commandLine.FindStringSubmatch(line); m != nil && (m[1] != "" || b.lang != "console") {
				commands = append(commands, m[2])
			}
		}
	}
	return commands
}

// inline is a command in a sentence.
var inline = regexp.MustCompile("`((?:[A-Z_]+=[^\\s`]+\\s)*(?:(?:make|harness|go\\s(?:run|test))\\s[^`]+|eval\\s[^`]+))`")

// fence is a block of code.
var fence = regexp.MustCompile("(?ms)^```.*?^```")

// inlineCommands returns the commands in a document's sentences, which may break them over lines.
func inlineCommands(text string) []string {
	var commands []string
	for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		commands = append(commands, strings.Join(strings.Fields(m[1]), " "))
	}
	return commands
}

func TestCommandsAreFound(t *testing.T) {
	t.Parallel()
	text := "Say:\n\n    $ make dev    starts it\n    mailhog ready\n\n```console\n$ go test ./x\nmake no command of this\n```\n```go\ngo func() {}\n```\n    A=1 make test   # explained\n" +
		"```yaml\n  - run: go test -count=1 ./y\n  - run: cat make.log\n```\n"
	require.Equal(t, []string{"make dev", "go test ./x", "A=1 make test", "go test -count=1 ./y"}, commandsIn(blocks("x.md", text)))
	require.Equal(t, []string{"make soak ROUNDS=1", "A=1 go run ./x", "harness up"},
		inlineCommands("Type `make soak\nROUNDS=1` or `A=1 go run ./x`, not `go vet`.\n```sh\necho `make fence`\n```\nThen `harness up`; `make` alone says more."))
}
