package main

import (
	"net/mail"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
)

// goldens returns the comparison with the golden emails in a directory; nil where none is given.
func goldens(dir, runHeader string) (func(string, *harness.TraceMail) error, error) {
	if dir == "" {
		return nil, nil
	}
	set, err := golden.Open(dir, golden.Options{RunHeader: runHeader})
	if err != nil {
		return nil, err
	}
	return func(name string, m *harness.TraceMail) error { return set.Compare(name, toGolden(m)) }, nil
}

func toGolden(m *harness.TraceMail) golden.Email {
	e := golden.Email{
		Subject: m.Subject, Text: m.Text, HTML: m.HTML,
		From: values(m.From), To: values(m.To), Cc: values(m.Cc), ReplyTo: values(m.ReplyTo),
	}
	for _, h := range m.Headers {
		e.Headers = append(e.Headers, golden.Header{Name: h.Name, Value: h.Value})
	}
	for _, p := range m.Attachments {
		e.Attachments = append(e.Attachments, golden.Attachment{Name: p.Name, ContentType: p.ContentType, ContentID: p.ContentID, Data: p.Data})
	}
	return e
}

func values(list []*mail.Address) []mail.Address {
	var all []mail.Address
	for _, a := range list {
		all = append(all, *a)
	}
	return all
}
