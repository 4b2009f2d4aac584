package stackapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// filter returns the condition of a query.
func (q mailFilter) filter() (inbox.Filter, error) {
	f := inbox.Filter{To: q.To, From: q.From, Subject: q.Subject, RunID: q.Run}
	for _, pair := range q.Header {
		name, value, ok := strings.Cut(pair, ":")
		if !ok || name == "" {
			return f, invalidf("parameter header: %q is no name and value with a colon between them", pair)
		}
		if f.Header == nil {
			f.Header = map[string]string{}
		}
		f.Header[name] = strings.TrimSpace(value)
	}
	return f, nil
}

// shown returns an email as the API shows it: without secrets, and without its source.
func (s *Server) shown(m *harness.Message) *harness.Message {
	c := *s.stack.Redactor().Mail(m)
	c.Raw = nil
	return &c
}

func (s *Server) getMail(ctx context.Context, in mailQuery) ([]*harness.Message, error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	var first *harness.Message
	if in.Wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, time.Duration(in.Wait))
		defer cancel()
		if first, err = s.stack.Inbox().Wait(waiting, f); err != nil {
			return nil, notFoundf("%w", err)
		}
	}
	found, err := s.stack.Inbox().Find(ctx, f)
	if err == nil && len(found) == 0 && first != nil { // another client has removed it meanwhile
		found = append(found, first)
	}
	all := make([]*harness.Message, len(found))
	for i, m := range found {
		all[i] = s.shown(m)
	}
	return all, err
}

func (s *Server) mail(ctx context.Context, id string) (*harness.Message, error) {
	m, err := s.stack.Inbox().Get(ctx, id)
	if errors.Is(err, inbox.ErrNotFound) {
		return nil, notFoundf("the inbox has no email %q: `harness mail ls` lists them", id)
	}
	return m, err
}

func (s *Server) getOneMail(ctx context.Context, in oneMail) (*harness.Message, error) {
	m, err := s.mail(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return s.shown(m), nil
}

func (s *Server) getSource(ctx context.Context, in oneMail) ([]byte, error) {
	m, err := s.mail(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if m = s.stack.Redactor().Mail(m); len(m.Raw) == 0 {
		return nil, unsupportedf("email %s contains a secret of the app: it is shown decoded, with the secret masked", m.ID)
	}
	return m.Raw, nil
}

func (s *Server) clearMail(ctx context.Context, in mailFilter) (Removed, error) {
	f, err := in.filter()
	if err != nil {
		return Removed{}, err
	}
	box := s.stack.Inbox()
	if f.String() == "" {
		n, err := box.Count(ctx)
		if err == nil {
			err = box.Clear(ctx)
		}
		return Removed{n}, err
	}
	found, err := box.Find(ctx, f)
	if err != nil {
		return Removed{}, err
	}
	var removed Removed
	for _, m := range found {
		err := box.Delete(ctx, m.ID)
		switch {
		case errors.Is(err, inbox.ErrNotFound): // another client has removed it
		case err != nil:
			return removed, err
		default:
			removed.Removed++
		}
	}
	return removed, nil
}
