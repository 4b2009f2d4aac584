package main

import (
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
)

// goldens returns a function that compares an email with a golden in a directory; nil without a directory.
func goldens(dir, runHeader string) (func(string, *harness.TraceMail) error, error) {
	if dir == "" {
		return nil, nil
	}
	set, err := golden.Open(dir, golden.Options{RunHeader: runHeader})
	if err != nil {
		return nil, err
	}
	return func(name string, m *harness.TraceMail) error { return set.Compare(name, m.Message) }, nil
}
