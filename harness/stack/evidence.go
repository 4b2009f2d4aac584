package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/secret"
)

// KeepEvidence writes what is known about a test that failed into a directory: verdicts, with their emails, and the logs of app
// and servers. It writes as much as it can, and removes what it wrote there before.
func (s *Stack) KeepEvidence(dir string, verdicts []*harness.Verdict) error {
	if err := errors.Join(RemoveEvidence(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	var errs []error
	write := func(name string, data []byte) {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	for i, v := range verdicts {
		data, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			errs = append(errs, fmt.Errorf("write verdict %d: %w", i+1, err))
		} else {
			write(fmt.Sprintf("%d-verdict.json", i+1), data)
		}
		write(fmt.Sprintf("%d-verdict.txt", i+1), []byte(v.String()+"\n"))
		for j, m := range v.Trace.Mail {
			write(fmt.Sprintf("%d-mail-%d.eml", i+1, j+1), m.Raw)
		}
	}
	return errors.Join(append(errs, s.keepLogs(dir))...)
}

// RemoveEvidence removes what KeepEvidence wrote into a directory, and the directory if it is empty then.
func RemoveEvidence(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if evidenceFile.MatchString(e.Name()) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	_ = os.Remove(dir) // fails where it has something else
	return errors.Join(errs...)
}

// evidenceFile matches the names of the files that KeepEvidence writes.
var evidenceFile = regexp.MustCompile(`^(\d+-verdict\.(json|txt)|\d+-mail-\d+\.eml|(mongo|mailhog|inngest|app)\.log)$`)

// keepLogs copies the log of each service: the whole file where there is one, else its last lines. The files may be
// removed with the stack.
func (s *Stack) keepLogs(dir string) error {
	files := map[harness.Service]string{harness.ServiceApp: filepath.Join(s.Dir(), "app.log")}
	for _, info := range s.Describe() {
		files[info.Service] = info.LogFile
	}
	var errs []error
	for _, service := range []harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceInngest, harness.ServiceApp} {
		kept := filepath.Join(dir, string(service)+".log")
		err := s.copyLog(kept, files[service])
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
			if tail := s.Tail(service); len(tail) > 0 {
				err = os.WriteFile(kept, []byte(strings.Join(tail, "\n")+"\n"), 0o600)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// copyLog copies a log line by line, without secrets.
func (s *Stack) copyLog(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	logins := (*secret.Set)(nil).Lines() // MailHog logs the app's credentials, over several lines
	err = secret.Copy(out, in, func(line string) string { return logins(s.Redactor().Text(line)) })
	return errors.Join(err, out.Close())
}
