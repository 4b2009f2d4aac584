package golden

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/strictjson"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/textdiff"
)

// UpdateVariable names the environment variable that, set to 1, asks for [Options].Update.
const UpdateVariable = "HARNESS_UPDATE"

// UpdateWanted reports whether the environment asks for [Options].Update.
func UpdateWanted() bool { return os.Getenv(UpdateVariable) == "1" }

// Options say how a Set compares. The zero value compares DefaultHeaders, replaces only what varies by nature, and
// changes no file. A file golden.json in the directory adds replacements and changing files, for everything that compares
// with these goldens, the command "harness expect" included:
//
//	{"replace": [{"pattern": "DTSTAMP:\\S+", "new": "DTSTAMP:{{now}}"}, {"old": "http://127.0.0.1:3000", "new": "{{app-url}}"}],
//	 "changingFiles": ["invoice-*.pdf"]}
type Options struct {
	// Update makes Compare write an email that differs, or has no golden, instead of reporting it.
	Update bool
	// Replace is applied to every email, in order, after the replacements that are passed to Compare.
	Replace []Replacement
	// Headers names the headers that are compared beside subject and addresses, in the order in which they are stored.
	// Nil means DefaultHeaders; an empty list means none.
	Headers []string
	// ChangingFiles names attached and inline files that differ in every email, by patterns of [path.Match] for their name
	// ("invoice-*.pdf") or their media type ("application/pdf"). Of these, the bytes are not compared.
	ChangingFiles []string
	// RunHeader names the header whose value is replaced by {{run-id}} wherever it stands. Empty means harness.DefaultRunHeader.
	RunHeader string
}

// Set is a directory of goldens. It is safe for concurrent use and needs no closing.
type Set struct {
	dir     string
	options Options  // with those of optionsFile
	names   []string // goldens that were there when the set was opened, sorted

	mu    sync.Mutex
	asked map[string]string // names asked for, by their form on file systems that ignore case
	wrote map[string]bool   // names written by this set
}

// The files of a golden.
const (
	emailFile = "email.txt"
	htmlFile  = "body.html"
	textFile  = "body.txt"
)

// optionsFile holds options in a directory of goldens.
const optionsFile = "golden.json"

// Open returns the set of goldens in dir. The directory need not exist yet: then no golden does.
func Open(dir string, o Options) (*Set, error) {
	set, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open goldens in %s: %w", dir, err)
	}
	return set, nil
}

func open(dir string, o Options) (*Set, error) {
	if o.Headers == nil {
		o.Headers = DefaultHeaders()
	}
	o.Headers = otherHeaders(o.Headers)
	if o.RunHeader == "" {
		o.RunHeader = harness.DefaultRunHeader
	}
	names, err := list(dir)
	if err != nil {
		return nil, err
	}
	if err := o.addFile(filepath.Join(dir, optionsFile)); err != nil {
		return nil, fmt.Errorf("%s: %w", optionsFile, err)
	}
	if _, err := newReplacer(o.Replace); err != nil {
		return nil, err
	}
	for _, pattern := range o.ChangingFiles {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("the changing files %q are no pattern: write the name of a file, with * for what varies", pattern)
		}
	}
	return &Set{dir: dir, options: o, names: names, asked: map[string]string{}, wrote: map[string]bool{}}, nil
}

// addFile adds the options that a file holds, if it exists.
func (o *Options) addFile(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return ignoreMissing(err)
	}
	var more struct {
		Replace       []Replacement `json:"replace"`
		ChangingFiles []string      `json:"changingFiles"`
	}
	if err := strictjson.Decode(data, &more); err != nil {
		return err
	}
	o.Replace = slices.Concat(o.Replace, more.Replace)
	o.ChangingFiles = slices.Concat(o.ChangingFiles, more.ChangingFiles)
	return nil
}

// list returns the names of the directories under dir that hold a file of a golden.
func list(dir string) ([]string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, errors.New("it is a file; goldens live in a directory")
	}
	var names []string
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if parent := path.Dir(name); isGoldenFile(entry.Name()) && parent != "." && !slices.Contains(names, parent) {
			names = append(names, parent)
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

func isGoldenFile(name string) bool {
	return name == emailFile || name == htmlFile || name == textFile
}

// Compare compares an email with the golden called name, such as "corrective" or "hostile/subject", after the given replacements
// and those of the set. It returns a *MismatchError when they differ and a *MissingError when there is no such golden; any other
// error means that the comparison could not be made.
//
// With Options.Update it writes the files that differ and returns nil. The first email of a name decides: a second one in
// the same set is compared with it.
func (s *Set) Compare(name string, m *harness.Message, replace ...Replacement) error {
	replacer, err := newReplacer(slices.Concat(replace, s.options.Replace, runReplacement(m, s.options.RunHeader), idReplacements(m)))
	if err != nil {
		return fmt.Errorf("golden %q: %w", name, err)
	}
	if err := s.ask(name); err != nil {
		return err
	}
	got := render(m, s.options, replacer)

	if s.options.Update {
		// One writer at a time, so that of two emails with one name the second is compared with the first.
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	want, err := s.Load(name)
	if err != nil && !(s.options.Update && rewritable(err)) {
		return err
	}
	parts := compare(want, got)
	if len(parts) == 0 && err == nil {
		return nil
	}
	mismatch := &MismatchError{Name: name, Dir: s.path(name), Parts: parts, Want: want, Got: got}
	if !s.options.Update {
		return mismatch
	}
	if s.wrote[name] {
		return fmt.Errorf("two emails were compared with one golden while it was rewritten, give one of them another name: %w", mismatch)
	}
	if err := s.write(name, got); err != nil {
		return fmt.Errorf("golden %q: update: %w", name, err)
	}
	s.wrote[name] = true
	return nil
}

// ask checks a name and notes that it is used.
func (s *Set) ask(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	folded := strings.ToLower(name)
	if other, ok := s.asked[folded]; ok && other != name {
		return fmt.Errorf("golden %q: there is %q too, which is the same file where case does not count: give one of them another name", name, other)
	}
	s.asked[folded] = name
	return nil
}

// Load returns the golden called name as it is stored, for showing it. It does not count as using it. It returns a
// *MissingError when there is no such golden.
func (s *Set) Load(name string) (Files, error) {
	if err := checkName(name); err != nil {
		return Files{}, err
	}
	files, err := s.read(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && files == Files{}:
		return Files{}, &MissingError{Name: name, Dir: s.path(name)}
	case err != nil:
		return Files{}, fmt.Errorf("golden %q: %w", name, err)
	}
	if problem := s.malformed(name, files); problem != "" {
		return Files{}, malformedError(fmt.Sprintf("golden %q: %s: restore it, or have it rewritten %s", name, problem, howToUpdate))
	}
	return files, nil
}

// read returns the files of a golden as they are. A file that does not exist is empty.
func (s *Set) read(name string) (files Files, _ error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return files, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return files, err
	}
	if !info.IsDir() {
		return files, fmt.Errorf("%s is a file; a golden is a directory that holds %s", s.path(name), emailFile)
	}
	for _, file := range files.each() {
		data, err := root.ReadFile(path.Join(name, file.name))
		if err := ignoreMissing(err); err != nil {
			return files, err
		}
		*file.content = plainLines(string(data))
	}
	return files, nil
}

// malformed says why the files of a golden are not as this package writes them; empty if they are.
func (s *Set) malformed(name string, files Files) string {
	for _, file := range files.each() {
		if !utf8.ValidString(*file.content) {
			return s.path(name, file.name) + " is not UTF-8 text"
		}
	}
	summary := s.path(name, emailFile)
	if files.Email == "" {
		return summary + " is missing or empty, though there is a body"
	}
	for i, line := range textdiff.Split(canonicalText(files.Email)) {
		if key, _, ok := strings.Cut(line, ":"); !ok || strings.TrimSpace(key) == "" {
			return fmt.Sprintf("%s:%d is not of the form \"Name: value\" but %q", summary, i+1, clip(line, 0))
		}
	}
	return ""
}

// malformedError says that the files of a golden are not as this package writes them.
type malformedError string

func (e malformedError) Error() string { return string(e) }

// rewritable reports whether writing the golden anew mends err.
func rewritable(err error) bool {
	_, malformed := errors.AsType[malformedError](err)
	return malformed || errors.Is(err, fs.ErrNotExist) // a MissingError
}

type goldenFile struct {
	name      string
	content   *string
	canonical func(string) string // the form in which equal contents are equal
}

func (f *Files) each() []goldenFile {
	return []goldenFile{
		{emailFile, &f.Email, canonicalText},
		{textFile, &f.Text, canonicalText},
		{htmlFile, &f.HTML, canonicalHTML},
	}
}

// write stores files as the golden called name. It leaves alone a file that says the same already in other words.
func (s *Set) write(name string, files Files) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	for _, file := range files.each() {
		target := path.Join(name, file.name)
		if *file.content == "" {
			if err := ignoreMissing(root.Remove(target)); err != nil {
				return err
			}
			continue
		}
		old, err := root.ReadFile(target)
		if err == nil && utf8.Valid(old) && file.canonical(string(old)) == file.canonical(*file.content) {
			continue
		}
		if err := writeFile(root, target, *file.content); err != nil {
			return err
		}
	}
	return nil
}

// writeFile replaces a file at once: a reader sees the old content or the new.
func writeFile(root *os.Root, target, content string) error {
	temporary := path.Join(path.Dir(target), fmt.Sprintf(".%s.%d", path.Base(target), rand.Uint64()))
	err := root.WriteFile(temporary, []byte(content), 0o644)
	if err == nil {
		err = root.Rename(temporary, target)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(root.Remove(temporary)))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Unused returns the names of the goldens that were there when the set was opened and that no Compare has asked for since,
// sorted. It means something only when every test that uses the set has run.
func (s *Set) Unused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var unused []string
	for _, name := range s.names {
		if _, ok := s.asked[strings.ToLower(name)]; !ok {
			unused = append(unused, name)
		}
	}
	return unused
}

// path returns the path of a golden, or of a file in it, as a person would type it.
func (s *Set) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// checkName refuses names that are not safe as file names on every system or that lead out of the directory.
func checkName(name string) error {
	if name == "" {
		return errors.New("a golden needs a name")
	}
	for element := range strings.SplitSeq(name, "/") {
		if problem := checkElement(element); problem != "" {
			return fmt.Errorf("golden %q: %s; a name is made of letters, digits, '-', '_' and '.', and '/' between directories", name, problem)
		}
	}
	return nil
}

func checkElement(element string) string {
	switch {
	case element == "":
		return "part of its name is empty"
	case strings.HasPrefix(element, ".") || strings.HasSuffix(element, "."):
		return "part of its name starts or ends with a dot"
	case len(element) > 100:
		return "part of its name is longer than 100 characters"
	case isGoldenFile(strings.ToLower(element)):
		return fmt.Sprintf("%q is the name of a file in goldens", element)
	case invalidInName.MatchString(element):
		return fmt.Sprintf("its name holds %q", []rune(invalidInName.FindString(element))[0])
	case windowsDevice.MatchString(element):
		return fmt.Sprintf("%q is a device on Windows", element)
	}
	return ""
}

var (
	invalidInName = regexp.MustCompile(`[^a-zA-Z0-9_.-]`)
	windowsDevice = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)
)
