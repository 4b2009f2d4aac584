package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/input"
)

// A Report is what a directory of records holds.
type Report struct {
	// Records are in the order of package, test and backend.
	Records []Record
	Faults  []Fault
	Figures []Figure
}

// Fault is one row of a fault matrix: a list of them is faults.json.
type Fault struct {
	Fault    string `json:"fault"`
	Backend  string `json:"backend"`
	Promised string `json:"promised"`
	Happened string `json:"happened"`
	Kept     bool   `json:"kept"`
	// Took is how long it took until that was known.
	Took harness.Duration `json:"took"`
}

// Figure is one measurement: a list of them is bench.json.
type Figure struct {
	Name   string           `json:"name"`
	Median harness.Duration `json:"median"`
	// Low and High are the median's 95 % confidence interval.
	Low  harness.Duration `json:"low"`
	High harness.Duration `json:"high"`
	N    int              `json:"n"`
	// Note says what it is to be compared with.
	Note string `json:"note,omitempty"`
}

// emptyError says that a directory holds nothing to report.
type emptyError struct{ dir string }

func (e *emptyError) Error() string {
	return fmt.Sprintf("there is nothing to report in %s: run the tests with %s set to its absolute path", e.dir, Variable)
}

// Is makes it an [fs.ErrNotExist].
func (*emptyError) Is(target error) bool { return target == fs.ErrNotExist }

// Load reads what is in a directory. One that holds nothing to report is an error.
func Load(dir string) (*Report, error) {
	files, err := sources(dir)
	if err != nil {
		return nil, err
	}
	rep := &Report{}
	for _, f := range files {
		data, err := input.File(filepath.Join(dir, f.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed since
		}
		if err != nil {
			return nil, unread(err)
		}
		if err := rep.add(f.name, data); err != nil {
			return nil, fmt.Errorf("read the report's sources: %s: %w: remove the file and run what wrote it again", filepath.Join(dir, f.name), err)
		}
	}
	if len(rep.Records)+len(rep.Faults)+len(rep.Figures) == 0 {
		return nil, &emptyError{dir}
	}
	slices.SortStableFunc(rep.Records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Test, b.Test), cmp.Compare(a.Backend, b.Backend))
	})
	return rep, nil
}

func (rep *Report) add(name string, data []byte) error {
	switch kindOf(name) {
	case faultsPrefix:
		return appendJSON(&rep.Faults, data)
	case benchPrefix:
		return appendJSON(&rep.Figures, data)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	if r.Version != version {
		return fmt.Errorf("it is a record of version %d, and this harness reads version %d", r.Version, version)
	}
	if !slices.Contains([]Outcome{Passed, Failed, Skipped}, r.Outcome) {
		return fmt.Errorf("its outcome is %q, which is none of %s, %s and %s", r.Outcome, Passed, Failed, Skipped)
	}
	for _, v := range r.Verdicts {
		if v == nil || v.Trace == nil || slices.ContainsFunc(v.Trace.Mail, func(m harness.TraceMail) bool { return m.Message == nil }) {
			return errors.New("it is not a whole record")
		}
	}
	rep.Records = append(rep.Records, r)
	return nil
}

func appendJSON[T any](list *[]T, data []byte) error {
	var more []T
	if err := json.Unmarshal(data, &more); err != nil {
		return err
	}
	*list = append(*list, more...)
	return nil
}

// The beginnings of the names of files that a report is made of.
const (
	faultsPrefix = "faults"
	benchPrefix  = "bench"
)

// kindOf returns what a file is, by its name; "" where it is none of the report's.
func kindOf(name string) string {
	base, ok := strings.CutSuffix(name, ".json")
	if !ok {
		return ""
	}
	if strings.HasPrefix(base, recordPrefix) {
		return recordPrefix
	}
	for _, kind := range []string{faultsPrefix, benchPrefix} {
		if base == kind || strings.HasPrefix(base, kind+"-") {
			return kind
		}
	}
	return ""
}

func unread(err error) error { return fmt.Errorf("read the report's sources: %w", err) }

// source is a file and what tells it from another of the same name.
type source struct {
	name string
	size int64
	time int64
}

// sources lists the files that a report is made of, by name.
func sources(dir string) ([]source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, unread(err)
	}
	var files []source
	for _, e := range entries {
		if kindOf(e.Name()) == "" {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed since
		}
		if err != nil {
			return nil, unread(err)
		}
		files = append(files, source{e.Name(), info.Size(), info.ModTime().UnixNano()})
	}
	return files, nil
}

// The files that Write writes.
const (
	PageFile    = "report.html"
	JUnitFile   = "junit.xml"
	SummaryFile = "summary.md"
)

// Write joins what is in a directory and writes the page, the JUnit file and the summary beside it. Several processes
// may save and write at the same time: the last of them to end leaves a report of all.
func Write(dir string) (*Report, error) {
	before, err := sources(dir)
	if err != nil {
		return nil, err
	}
	for {
		rep, err := write(dir)
		if err != nil {
			return nil, err
		}
		// Another process may have saved and written meanwhile: this report, without its record, must not be the last.
		after, err := sources(dir)
		if err != nil || slices.Equal(before, after) {
			return rep, err
		}
		before = after
	}
}

// write does what Write does, of what is there now.
func write(dir string) (*Report, error) {
	rep, err := Load(dir)
	if err != nil {
		return nil, err
	}
	p := rep.page()
	for name, write := range map[string]func(io.Writer) error{PageFile: p.writeHTML, JUnitFile: p.writeJUnit, SummaryFile: p.writeMarkdown} {
		var out strings.Builder
		if err := write(&out); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		if err := replaceFile(filepath.Join(dir, name), []byte(out.String())); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return rep, nil
}

// Clear removes from a directory what Save, Write, the fault matrix and the measurements have put there, and nothing else, so
// that the next report is of the next run alone. A file that merely has the name of a report's file stays. It returns how many
// it removed. A directory that is not there is clear.
func Clear(dir string) (removed int, err error) {
	files, err := sources(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	names := pages()
	for _, f := range files {
		names = append(names, f.name)
	}
	return remove(dir, names)
}

// clearPages removes what Write writes.
func clearPages(dir string) error {
	_, err := remove(dir, pages())
	return err
}

func pages() []string { return []string{PageFile, JUnitFile, SummaryFile} }

// remove removes the files that are the harness's own.
func remove(dir string, names []string) (removed int, err error) {
	var errs []error
	for _, name := range names {
		file := filepath.Join(dir, name)
		data, err := input.File(file)
		if err != nil || !own(name, data) {
			continue // it is not there, or not the harness's
		}
		if err := os.Remove(file); err == nil {
			removed++
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// marker is in the page and in the JUnit file, near the beginning.
const marker = "inngest-harness report"

// own reports whether a file is what its name says, as the harness writes it.
func own(name string, data []byte) bool {
	known := func(into any) bool {
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		return d.Decode(into) == nil
	}
	switch kindOf(name) {
	case recordPrefix: // also one of another version
		var r struct {
			outline
			Version int `json:"version"`
		}
		return json.Unmarshal(data, &r) == nil && r.Version > 0 && r.Package != "" && r.Test != "" && r.Outcome != ""
	case faultsPrefix:
		var list []Fault
		return known(&list) && len(list) > 0 && list[0].Fault != "" && list[0].Backend != ""
	case benchPrefix:
		var list []Figure
		return known(&list) && len(list) > 0 && list[0].Name != "" && list[0].N > 0
	}
	return bytes.HasSuffix(data, []byte(summaryEnd)) && name == SummaryFile ||
		bytes.Contains(data[:min(len(data), 1<<10)], []byte(marker))
}
