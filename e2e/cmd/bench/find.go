package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/smtp"
	"net/url"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/local"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// inboxSize is how many emails one is looked for among, and emailSize about how long each is: a notification's length.
const (
	inboxSize = 10_000
	emailSize = 8 << 10
)

// benchFind measures how long it takes to find one email in a full inbox: at the first look, which reads it all, and at
// each later one, in turns with MailHog's own search for the same recipient, which decodes nothing.
func benchFind(ctx context.Context, n int) (_ []figure, err error) {
	st, err := stack.Start(ctx, local.New(local.Options{}), stack.Options{WithoutTaps: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close(context.WithoutCancel(ctx))) }()
	ends := st.Endpoints()
	if err := fill(ends.SMTP, inboxSize); err != nil {
		return nil, fmt.Errorf("fill the inbox: %w", err)
	}

	began := time.Now()
	if err := st.Inbox().ReadToEnd(ctx); err != nil {
		return nil, err
	}
	first := []time.Duration{time.Since(began)}
	var later, floor []time.Duration
	for range n {
		to := recipient(rand.IntN(inboxSize))
		began := time.Now()
		found, err := st.Inbox().Find(ctx, inbox.Filter{To: to})
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("find the email to %s: %d found: %w", to, len(found), err)
		}
		later = append(later, time.Since(began))
		began = time.Now()
		if err := search(ctx, ends.MailHog, to); err != nil {
			return nil, err
		}
		floor = append(floor, time.Since(began))
	}
	return []figure{
		measured(fmt.Sprintf("the first look at %d emails", inboxSize), first),
		measured("finding one among them from then on", later),
		measured("  MailHog's own search, undecoded", floor),
	}, nil
}

func recipient(i int) string { return fmt.Sprintf("user-%d@bench.test", i) }

// fill sends n emails, each to somebody else, on one connection.
func fill(addr string, n int) error {
	c, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	line := strings.Repeat("x", 76) + "\r\n"
	body := strings.Repeat(line, emailSize/len(line))
	for i := range n {
		if err := errors.Join(c.Mail("shop@bench.test"), c.Rcpt(recipient(i))); err != nil {
			return err
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "From: shop@bench.test\r\nTo: %s\r\nSubject: Number %d\r\n\r\n%s", recipient(i), i, body)
		if err := errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
	return c.Quit()
}

func search(ctx context.Context, mailhog, to string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, mailhog+"/api/v2/search?kind=to&limit=1&query="+url.QueryEscape(to), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}
