package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
)

// Variable names the environment variable that makes tests leave records, and says in which directory. It is an
// absolute path: every package's tests run in a directory of their own.
const Variable = "HARNESS_REPORT"

// An Outcome is the result of a test.
type Outcome string

// The outcomes of a test.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// A Record is what one test on one backend saw.
type Record struct {
	// Version is the format's. Save sets it.
	Version int `json:"version"`
	// Package is the import path of the test's package, and Test its name within. Required.
	Package string `json:"package"`
	Test    string `json:"test"`
	Backend string `json:"backend,omitempty"`
	// Run names the run of the package's tests, where a stack sees several. Optional.
	Run string `json:"run,omitempty"`
	// Outcome is required.
	Outcome Outcome       `json:"outcome"`
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"took"`
	// Failures are the messages that the test failed with.
	Failures []string `json:"failures,omitempty"`
	// Verdicts are those that the test asked for, with their traces, in order.
	Verdicts []*harness.Verdict `json:"verdicts,omitempty"`
	// Goldens are the comparisons of the traces' emails with goldens.
	Goldens []Golden `json:"goldens,omitempty"`
	// Pictures are what the test kept for a person to judge.
	Pictures []Picture `json:"pictures,omitempty"`
	// Evidence is the directory in which a failed test keeps what it saw.
	Evidence string `json:"evidence,omitempty"`
}

// Picture is a picture that a test kept.
type Picture struct {
	// Name says what it shows. Required.
	Name string `json:"name"`
	// PNG is its file. Required.
	PNG []byte `json:"png"`
}

// Golden is an email beside its golden.
type Golden struct {
	Name string `json:"name"`
	// Message is the id of the email in MailHog.
	Message string `json:"message"`
	// Before is the golden as it was; empty where there was none. After is the email as it would be stored, and equal
	// to Before in each file that says the same.
	Before golden.Files `json:"before"`
	After  golden.Files `json:"after"`
}

// New reports whether there was no golden.
func (g Golden) New() bool { return g.Before == golden.Files{} }

// Changed reports whether the email differs from its golden.
func (g Golden) Changed() bool { return !g.New() && g.Before != g.After }

// recordJSON is a Record as JSON has it.
type recordJSON struct {
	*plainRecord
	Took harness.Duration `json:"took"`
}

type plainRecord Record // without methods

// MarshalJSON implements [json.Marshaler].
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(recordJSON{(*plainRecord)(&r), harness.Duration(r.Took)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *Record) UnmarshalJSON(data []byte) error {
	decoded := recordJSON{plainRecord: (*plainRecord)(r)}
	err := json.Unmarshal(data, &decoded)
	r.Took = time.Duration(decoded.Took)
	return err
}

// version is that of the records' format.
const version = 2

// Save writes a record to a directory, which it makes where it is not there. A record of the same test on the same
// backend is replaced. It is safe for concurrent use, also by several processes.
func Save(dir string, r Record) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("save a record for the report: %s is %q: make it an absolute path, since every package's tests run in a directory of their own", Variable, dir)
	}
	if r.Package == "" || r.Test == "" || !slices.Contains([]Outcome{Passed, Failed, Skipped}, r.Outcome) {
		return fmt.Errorf("save a record for the report: it needs a package, a test and an outcome, and has %q, %q and %q", r.Package, r.Test, r.Outcome)
	}
	for _, p := range r.Pictures {
		if _, err := png.DecodeConfig(bytes.NewReader(p.PNG)); err != nil || p.Name == "" {
			return fmt.Errorf("save the record of %s: the picture %q is no PNG with a name", r.Test, p.Name)
		}
	}
	r.Version = version
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("save the record of %s: %w", r.Test, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save the record of %s: %w", r.Test, err)
	}
	if err := replaceFile(filepath.Join(dir, r.file()), data); err != nil {
		return fmt.Errorf("save the record of %s: %w", r.Test, err)
	}
	return nil
}

// file names the record after its test, and after its package and backend by a checksum.
func (r Record) file() string {
	const most = 80
	name := strings.Map(func(c rune) rune {
		if c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			return c
		}
		return '-'
	}, r.Test)
	sum := sha256.Sum256([]byte(r.Package + "\x00" + r.Test + "\x00" + r.Backend))
	return fmt.Sprintf("%s%s-%x.json", recordPrefix, name[:min(len(name), most)], sum[:6])
}

const recordPrefix = "record-"

// replaceFile writes a file atomically.
func replaceFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Compare compares an email with the golden called name, as [golden.Set.Compare] does, whose error it returns, and
// says what the golden was before and what the email is: also where the set's goldens are being rewritten.
func Compare(set *golden.Set, name string, m *harness.TraceMail, replace ...golden.Replacement) (Golden, error) {
	g := Golden{Name: name, Message: m.ID}
	g.Before, _ = set.Load(name) // why it cannot be loaded, Compare says
	err := set.Compare(name, m.Message, replace...)
	var mismatch *golden.MismatchError
	switch {
	case errors.As(err, &mismatch):
		g.After = g.Before
		for _, part := range mismatch.Parts {
			switch part.Part {
			case "text":
				g.After.Text = mismatch.Got.Text
			case "html":
				g.After.HTML = mismatch.Got.HTML
			default:
				g.After.Email = mismatch.Got.Email
			}
		}
	case err == nil:
		g.After, _ = set.Load(name)
	}
	return g, err
}
