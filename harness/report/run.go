package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/input"
)

// A Run is one run of a package's tests. The package counts as failed until End is called: tests that panic, hang or end
// the program never call it.
type Run struct {
	dir, pkg string
	backends []string
	began    time.Time
}

// packageTest stands for a test's name in the record of a failure of a package as a whole.
const packageTest = "TestMain"

// Begin notes in a directory that the tests of a package, by its import path, begin to run on some backends. What it
// has of their last run there is removed; records of other packages and backends stay. No backend stands for all. The
// report is written as it is then: with the package among what has failed.
func Begin(dir, pkg string, backends ...string) (*Run, error) {
	r := &Run{dir: dir, pkg: pkg, backends: backends, began: time.Now()}
	if err := r.fail("the package's tests did not finish: see the end of their output"); err != nil {
		return nil, err
	}
	if err := r.forget(func(record outline) bool { return record.Test == packageTest && record.Backend == r.backend() }); err != nil {
		return nil, err
	}
	// Once is enough here: End writes the report again.
	_, err := write(dir)
	return r, err
}

// Forget removes the records of a package's tests on some backends from a directory. No backend stands for all. Records of tests
// that began at the given time or later stay, as do those of the run, if it has a name.
func Forget(dir, pkg string, before time.Time, run string, backends ...string) error {
	r := &Run{dir: dir, pkg: pkg, backends: backends}
	return r.forget(func(record outline) bool { return !record.Began.Before(before) || run != "" && record.Run == run })
}

// forget removes the records of the last run, but those that are kept.
func (r *Run) forget(keep func(outline) bool) error {
	err := r.each(func(file string, record outline) error {
		if keep(record) {
			return nil
		}
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove the records of the last run of %s: %w", r.pkg, err)
	}
	return nil
}

// End notes how the package's tests ended and writes the report. failed without a record that says so is a failure of
// the package as a whole.
func (r *Run) End(failed bool) error {
	recorded, err := false, error(nil)
	if failed {
		err = r.each(func(_ string, record outline) error {
			recorded = recorded || record.Outcome == Failed && record.Test != packageTest
			return nil
		})
	}
	if err != nil {
		return err
	}
	if failed && !recorded {
		err = r.fail("the package failed, and none of the tests that leave records: see the output of its tests")
	} else {
		err = os.Remove(filepath.Join(r.dir, r.record().file()))
	}
	if err != nil {
		return fmt.Errorf("note how the tests of %s ended: %w", r.pkg, err)
	}
	return r.write()
}

// write writes the report, or removes the one that Begin wrote where there is nothing left to say.
func (r *Run) write() error {
	for {
		if _, err := Write(r.dir); !errors.As(err, new(*emptyError)) {
			return err
		}
		if err := clearPages(r.dir); err != nil {
			return err
		}
		// Another package may have written meanwhile what has just been removed.
		if left, err := sources(r.dir); err != nil || len(left) == 0 {
			return err
		}
	}
}

func (r *Run) fail(why string) error {
	record := r.record()
	record.Failures = []string{why}
	return Save(r.dir, record)
}

func (r *Run) record() Record {
	return Record{Package: r.pkg, Test: packageTest, Backend: r.backend(), Outcome: Failed, Began: r.began, Took: time.Since(r.began)}
}

func (r *Run) backend() string { return strings.Join(r.backends, ",") }

// outline is what identifies a record, its outcome, and when its test began.
type outline struct {
	Package string    `json:"package"`
	Test    string    `json:"test"`
	Backend string    `json:"backend"`
	Run     string    `json:"run"`
	Outcome Outcome   `json:"outcome"`
	Began   time.Time `json:"began"`
}

// each calls f with each record of the package on the run's backends. One that cannot be read is left out: writing the
// report fails with what is wrong with it.
func (r *Run) each(f func(file string, record outline) error) error {
	files, err := filepath.Glob(filepath.Join(r.dir, recordPrefix+"*.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := input.File(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another package has begun
		}
		if err != nil {
			return err
		}
		var o outline
		if json.Unmarshal(data, &o) != nil || o.Package != r.pkg || !r.on(o.Backend) {
			continue
		}
		if err := f(file, o); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) on(backend string) bool {
	return len(r.backends) == 0 || backend == "" || backend == r.backend() || slices.Contains(r.backends, backend)
}
