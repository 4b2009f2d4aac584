package inbox

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// mailpitInfo is where Mailpit tells of itself.
const mailpitInfo = "/api/v1/info"

// mailpit reads a Mailpit. Its pages hold summaries; the messages themselves are loaded one by one, which does not mark them as
// read.
type mailpit struct {
	api
	envelope func(ctx context.Context, id string) (harness.Envelope, bool)
}

func (m *mailpit) name() string { return m.api.name }
func (*mailpit) close()         {}

// appends implements [source]. Mailpit lists messages by a time that it takes before it stores them: of two that are delivered at once,
// the one that is stored later may be listed as the earlier one.
func (*mailpit) appends() bool { return false }

// removals implements [source]: how many messages have been removed since Mailpit was started.
func (m *mailpit) removals(ctx context.Context) (uint64, error) {
	var info struct {
		RuntimeStats struct{ MessagesDeleted uint64 }
	}
	_, err := m.get(ctx, mailpitInfo, &info)
	return info.RuntimeStats.MessagesDeleted, err
}

func (m *mailpit) page(ctx context.Context, start, limit int) (*page, error) {
	var list struct {
		Total    *int
		Messages []struct {
			ID      string
			Created time.Time
		}
	}
	size, err := m.get(ctx, fmt.Sprintf("/api/v1/messages?start=%d&limit=%d", start, limit), &list)
	if err != nil {
		return nil, err
	}
	if list.Total == nil {
		return nil, fmt.Errorf("%s does not answer as Mailpit does", m.base)
	}
	p := &page{Total: *list.Total, Start: start, size: size}
	for _, one := range list.Messages {
		p.Items = append(p.Items, stored{ID: one.ID, Created: one.Created})
	}
	return p, nil
}

// loads is how many messages are loaded at once.
const loads = 4

func (m *mailpit) load(ctx context.Context, listed []stored) ([]stored, error) {
	loaded := slices.Clone(listed)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(loads)
	for i := range loaded {
		g.Go(func() error {
			raw, err := m.do(ctx, http.MethodGet, "/api/v1/message/"+url.PathEscape(loaded[i].ID)+"/raw", nil)
			if hasStatus(err, http.StatusNotFound) {
				loaded[i].ID = "" // it has been removed
				return nil
			}
			if err == nil {
				m.complete(ctx, &loaded[i], string(raw))
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(loaded, func(s stored) bool { return s.ID == "" }), nil
}

// complete makes a message of what Mailpit has stored. The envelope is the one that is known of its delivery; else its recipients are
// those in the headers, where Mailpit has added to Bcc those that no header named.
func (m *mailpit) complete(ctx context.Context, s *stored, source string) {
	s.Raw.Data, s.Raw.Helo = withoutMailpit(source)
	if m.envelope != nil {
		if e, ok := m.envelope(ctx, s.ID); ok {
			s.Raw.From, s.Raw.To = e.From, e.To
			return
		}
	}
	headers := headersOf(source)
	s.Raw.From, s.Raw.To = returnPath(headers), addressesOf(headers)
}

// withoutMailpit removes the headers that Mailpit has put before a message, of which Received is the last, and returns the name by
// which the sender introduced itself.
func withoutMailpit(source string) (message, helo string) {
	for rest := source; ; {
		name, _, ok := strings.Cut(rest, ":")
		if !ok || !slices.Contains([]string{"Bcc", "Message-ID", "Return-Path", "Received"}, name) {
			return source, "" // it came another way than by SMTP
		}
		end := 0
		for more := true; more; {
			n := strings.Index(rest[end:], "\r\n")
			if n < 0 {
				return source, ""
			}
			end += n + 2
			more = strings.HasPrefix(rest[end:], " ") || strings.HasPrefix(rest[end:], "\t")
		}
		field := rest[:end]
		rest = rest[end:]
		if name == "Received" {
			helo, _, _ = strings.Cut(strings.TrimPrefix(field, "Received: from "), " (")
			return rest, helo
		}
	}
}

func (*mailpit) raw(_ context.Context, s stored) ([]byte, string) { return []byte(s.Raw.Data), "" }

// watch implements [source]. What Mailpit pushes says only that something has changed, and does not come in sequence: the
// inbox is read again each time.
func (m *mailpit) watch(ctx context.Context, c *Client, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := m.dial(ctx, "/api/events")
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	changed := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		for { // it does nothing else: Mailpit drops a slow receiver
			if _, _, err := conn.Read(ctx); err != nil {
				ended <- m.broke(err)
				return
			}
			select {
			case changed <- struct{}{}:
			default: // the next look sees it, too
			}
		}
	}()
	if err = m.registered(ctx, conn); err == nil {
		err = c.refresh(ctx)
	}
	for first := true; err == nil; first = false {
		if first {
			connected()
		}
		select {
		case <-changed:
			err = c.refresh(ctx)
		case err := <-ended:
			return err
		}
	}
	cancel()
	<-ended
	return err
}

func (m *mailpit) remove(ctx context.Context, id string) error {
	return m.delete(ctx, []string{id})
}

// clear implements [source]. It removes the messages that the client knows and no others, such as one that arrives meanwhile.
func (m *mailpit) clear(ctx context.Context, known func() ([]string, error)) error {
	ids, err := known()
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, maxPage) {
		if err := m.delete(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// delete removes messages. There must be at least one: Mailpit takes an empty list for all messages.
func (m *mailpit) delete(ctx context.Context, ids []string) error {
	_, err := m.do(ctx, http.MethodDelete, "/api/v1/messages", map[string][]string{"IDs": ids})
	return err
}
