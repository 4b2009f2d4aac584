// Command mailcompare decodes every email in a folder with package inbox and with three parsers that others wrote:
// Python's email, and mailparser and postal-mime of npm. It lists where they disagree.
//
//	go run ./e2e/cmd/mailcompare FOLDER
//	go run ./e2e/cmd/mailcompare -v -known docs/email-differences.txt FOLDER
//
// Each folder in FOLDER is one row of the table that it prints. A difference is a field in which all parsers disagree with
// inbox, or in which two of them agree with each other and not with inbox. White space is not compared.
//
// It needs python3, node and npm. The npm packages are installed into a folder of the user's cache.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/odoo-maintenance/inngest-harness/e2e/internal/command"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// packages are the npm packages, pinned.
var packages = []string{"mailparser@3.14.2", "postal-mime@4.0.0"}

var (
	//go:embed parse.py
	parsePython string
	//go:embed parse.cjs
	parseNode string
)

func main() {
	known := flag.String("known", "", "a file that lists differences with the reason for each: only others are printed, and count as failures")
	verbose := flag.Bool("v", false, "show what each parser made of a field")
	flag.Parse()
	command.Main("mailcompare", func(ctx context.Context) error {
		if flag.NArg() != 1 {
			return errors.New("name one folder of emails")
		}
		return run(ctx, flag.Arg(0), *known, *verbose)
	})
}

func run(ctx context.Context, folder, knownFile string, verbose bool) error {
	known, err := readKnown(knownFile)
	if err != nil {
		return err
	}
	files, err := emails(folder)
	if err != nil {
		return err
	}
	ours := make([]email, len(files))
	for i, file := range files {
		if ours[i], err = decode(file); err != nil {
			return err
		}
	}
	others, err := parsers(ctx, files)
	if err != nil {
		return err
	}
	total := summary{}
	byFolder := map[string]*summary{}
	unknown := 0
	for i, file := range files {
		name, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		library, _, found := strings.Cut(name, "/")
		if !found {
			library = "."
		}
		if byFolder[library] == nil {
			byFolder[library] = &summary{}
		}
		theirs := map[string]email{}
		for parser, list := range others {
			theirs[parser] = list[i]
		}
		differences := compare(ours[i], theirs)
		byFolder[library].add(differences, known[name])
		total.add(differences, known[name])
		for _, d := range differences {
			if known[name][d.field] != "" {
				continue
			}
			unknown++
			fmt.Printf("%s\t%s\n", name, d.field)
			if verbose {
				fmt.Printf("\tinbox\t%.200q\n", d.ours)
				for _, parser := range parserNames {
					fmt.Printf("\t%s\t%.200q\n", parser, d.theirs[parser])
				}
			}
		}
	}
	printTable(byFolder, total)
	if knownFile != "" && unknown > 0 {
		return fmt.Errorf("%d differences are not in %s", unknown, knownFile)
	}
	return nil
}

// summary counts files of a folder.
type summary struct{ files, equal, listed, unlisted int }

func (s *summary) add(differences []difference, known map[string]string) {
	s.files++
	switch {
	case len(differences) == 0:
		s.equal++
	case slices.ContainsFunc(differences, func(d difference) bool { return known[d.field] == "" }):
		s.unlisted++
	default:
		s.listed++
	}
}

func printTable(byFolder map[string]*summary, total summary) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "folder\tfiles\tequal\tlisted\tnot listed")
	for _, name := range sortedKeys(byFolder) {
		s := byFolder[name]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", name, s.files, s.equal, s.listed, s.unlisted)
	}
	fmt.Fprintf(w, "all\t%d\t%d\t%d\t%d\n", total.files, total.equal, total.listed, total.unlisted)
	w.Flush()
}

// emails returns the files below a folder, sorted.
func emails(folder string) (files []string, err error) {
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there are no files in %s", folder)
	}
	return files, err
}

func decode(file string) (email, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return email{}, err
	}
	return fromMessage(inbox.Decode(raw)), nil
}

// parserNames are the other parsers, in the order of the output.
var parserNames = []string{"python", "mailparser", "postal-mime"}

// parsers decodes the files with each of the other parsers.
func parsers(ctx context.Context, files []string) (map[string][]email, error) {
	for _, program := range []string{"python3", "node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is needed, and not there: install Python 3.11 or newer and Node.js 20 or newer", program)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "mailcompare")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	install := exec.CommandContext(ctx, "npm", append([]string{"install", "--prefix", dir, "--no-audit", "--no-fund", "--silent"}, packages...)...)
	if out, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("install %s with npm: %w: %s", strings.Join(packages, " and "), err, out)
	}
	script := filepath.Join(dir, "parse.cjs")
	if err := os.WriteFile(script, []byte(parseNode), 0o644); err != nil {
		return nil, err
	}
	all := map[string][]email{}
	for parser, args := range map[string][]string{
		"python":      {"python3", "-c", parsePython},
		"mailparser":  {"node", script, dir, "mailparser"},
		"postal-mime": {"node", script, dir, "postal-mime"},
	} {
		if all[parser], err = ask(ctx, files, args); err != nil {
			return nil, fmt.Errorf("%s: %w", parser, err)
		}
	}
	return all, nil
}

// ask lets a program decode the files.
func ask(ctx context.Context, files, args []string) ([]email, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(strings.Join(files, "\n") + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	var list []email
	lines := bufio.NewReader(bytes.NewReader(out))
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var p parsed
		if err := json.Unmarshal(line, &p); err != nil {
			return nil, err
		}
		list = append(list, p.email())
	}
	if len(list) != len(files) {
		return nil, fmt.Errorf("it decoded %d of %d files: %s", len(list), len(files), stderr.String())
	}
	return list, nil
}

// readKnown reads the listed differences: file, field and reason, separated by tabs. Lines that begin with # are comments.
func readKnown(name string) (map[string]map[string]string, error) {
	known := map[string]map[string]string{}
	if name == "" {
		return known, nil
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(line, "\t", 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: %q is not file, field and reason, separated by tabs", name, line)
		}
		if known[fields[0]] == nil {
			known[fields[0]] = map[string]string{}
		}
		known[fields[0]][fields[1]] = fields[2]
	}
	return known, nil
}
