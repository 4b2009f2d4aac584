package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// sinceYesterday is how far back a mailbox is read.
const sinceYesterday = 24 * time.Hour

// errGone says that a message was removed after it was listed.
var errGone = errors.New("the message has been removed")

// imapSource reads a mailbox by IMAP: imaps://USER:PASSWORD@HOST/MAILBOX, where the mailbox is INBOX if none is named. It opens
// the mailbox for reading only (EXAMINE), and marks nothing as seen (PEEK). It reads the messages since yesterday.
type imapSource struct {
	url      *url.URL
	client   *imapclient.Client // nil while there is no connection
	validity uint32
}

// connect opens the mailbox. imap:// is encrypted where the server offers it, and must be but on loopback.
func (s *imapSource) connect(ctx context.Context) error {
	if s.client != nil {
		return nil
	}
	port := cmp.Or(s.url.Port(), map[string]string{"imap": "143", "imaps": "993"}[s.url.Scheme])
	address := net.JoinHostPort(s.url.Hostname(), port)
	dial := imapclient.DialTLS
	if s.url.Scheme == "imap" {
		dial = imapclient.DialStartTLS
		if ip := net.ParseIP(s.url.Hostname()); s.url.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			dial = imapclient.DialInsecure
		}
	}
	client, err := dial(address, &imapclient.Options{Dialer: &net.Dialer{Timeout: connectTimeout}})
	if err != nil {
		return fmt.Errorf("the mailbox at %s cannot be reached: %w", address, err)
	}
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	password, _ := s.url.User.Password()
	if err := client.Login(s.url.User.Username(), password).Wait(); err != nil {
		return errors.Join(fmt.Errorf("log in to the mailbox at %s: %w", address, err), client.Close())
	}
	box := cmp.Or(strings.Trim(s.url.Path, "/"), "INBOX")
	selected, err := client.Select(box, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return errors.Join(fmt.Errorf("open the mailbox %s at %s: %w", box, address, err), client.Close())
	}
	s.client, s.validity = client, selected.UIDValidity
	return nil
}

// failed closes a connection that has failed: the next question opens another.
func (s *imapSource) failed(err error) error {
	s.close()
	return fmt.Errorf("read the mailbox at %s: %w", s.url.Host, err)
}

// page implements [source]: it has no pages.
func (s *imapSource) page(ctx context.Context, _, _ int) (*page, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, s.abort(s.client))
	defer stop()
	if err := s.client.Noop().Wait(); err != nil { // the server tells of new messages
		return nil, s.failed(err)
	}
	found, err := s.client.UIDSearch(&imap.SearchCriteria{Since: time.Now().Add(-sinceYesterday)}, nil).Wait()
	if err != nil {
		return nil, s.failed(err)
	}
	uids := found.AllUIDs()
	slices.Sort(uids)
	p := &page{Total: len(uids)}
	for _, uid := range slices.Backward(uids) {
		p.Items = append(p.Items, stored{ID: fmt.Sprintf("%d-%d", s.validity, uid)})
	}
	return p, nil
}

func (s *imapSource) abort(client *imapclient.Client) func() { return func() { client.Close() } }

func (s *imapSource) load(ctx context.Context, listed []stored) ([]stored, error) {
	var all []stored
	for _, l := range listed {
		m, err := s.fetch(ctx, l.ID)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// fetch returns a message, or errGone.
func (s *imapSource) fetch(ctx context.Context, id string) (stored, error) {
	_, number, _ := strings.Cut(id, "-")
	uid, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return stored{}, fmt.Errorf("%q is no id of a message: %w", id, err)
	}
	stop := context.AfterFunc(ctx, s.abort(s.client))
	defer stop()
	whole := &imap.FetchItemBodySection{Peek: true}
	messages, err := s.client.Fetch(imap.UIDSetNum(imap.UID(uid)), &imap.FetchOptions{
		UID: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{whole},
	}).Collect()
	if err != nil {
		return stored{}, s.failed(err)
	}
	if len(messages) != 1 {
		return stored{}, errGone
	}
	// The server tells whole seconds, rounded down: an email is later than another event of that second, as far as is known.
	received := messages[0].InternalDate.Add(time.Second - time.Millisecond)
	return delivered(id, received, string(messages[0].FindBodySection(whole))), nil
}

// delivered makes a message of what a mailbox holds. Its recipients are those that the last mail server has written down, else those
// in the headers.
func delivered(id string, received time.Time, raw string) stored {
	m := stored{ID: id, Created: received}
	headers := headersOf(raw)
	m.Raw.Data, m.Raw.From = raw, returnPath(headers)
	for _, name := range []string{"Delivered-To", "X-Original-To", "Envelope-To"} {
		if m.Raw.To = headers.HeaderValues(name); len(m.Raw.To) > 0 {
			return m
		}
	}
	m.Raw.To = addressesOf(headers)
	return m
}

// imapInterval is how often the mailbox is looked at while something waits for an email.
const imapInterval = 2 * time.Second

// watch implements [source]: it polls.
func (*imapSource) watch(ctx context.Context, c *Client, connected func()) error {
	for {
		if err := c.refresh(ctx); err != nil {
			return err
		}
		connected()
		select {
		case <-time.After(imapInterval):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *imapSource) name() string                                        { return "the mailbox at " + s.url.Host }
func (*imapSource) appends() bool                                         { return true }
func (*imapSource) removals(context.Context) (uint64, error)              { return 0, nil }
func (*imapSource) remove(context.Context, string) error                  { return ErrReadOnly }
func (*imapSource) clear(context.Context, func() ([]string, error)) error { return ErrReadOnly }
func (*imapSource) raw(_ context.Context, m stored) ([]byte, string)      { return []byte(m.Raw.Data), "" }

func (s *imapSource) close() {
	if s.client != nil {
		_ = s.client.Close() // it is of no more use
		s.client = nil
	}
}
