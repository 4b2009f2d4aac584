package inbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/poll"
)

// mailHog reads a MailHog. Its pages hold the messages themselves.
type mailHog struct {
	api
	client *Client
	lookup sync.Mutex // held while it is asked for a message by its id; locked before Client.walking
}

func (h *mailHog) name() string                                            { return h.api.name }
func (*mailHog) appends() bool                                             { return true }
func (*mailHog) removals(context.Context) (uint64, error)                  { return 0, nil }
func (*mailHog) close()                                                    {}
func (*mailHog) load(_ context.Context, listed []stored) ([]stored, error) { return listed, nil }

func (h *mailHog) page(ctx context.Context, start, limit int) (*page, error) {
	query := url.Values{"start": {strconv.Itoa(start)}, "limit": {strconv.Itoa(limit)}}
	p := &page{}
	var err error
	p.size, err = h.get(ctx, "/api/v2/messages?"+query.Encode(), p)
	return p, err
}

// UnmarshalJSON undoes what MailHog and the tap before it did to the message: MailHog removes the line end before the final
// dot, which belongs to the message (RFC 5321, 4.1.1.4), and the tap encodes paths that MailHog cannot read. What MailHog
// parsed is left out: it overwrites repeated headers and decodes nothing.
func (s *stored) UnmarshalJSON(data []byte) error {
	type plain stored // without methods
	if err := json.Unmarshal(data, (*plain)(s)); err != nil {
		return err
	}
	if s.Raw.Data != "" {
		s.Raw.Data += "\r\n"
	}
	s.Raw.From = address.Decode(s.Raw.From)
	for i, to := range s.Raw.To {
		s.Raw.To[i] = address.Decode(to)
	}
	return nil
}

func (h *mailHog) remove(ctx context.Context, id string) error {
	_, err := h.do(ctx, http.MethodDelete, "/api/v1/messages/"+url.PathEscape(id), nil)
	if hasStatus(err, http.StatusInternalServerError) { // that is how MailHog says that it does not know the id
		return ErrNotFound
	}
	return err
}

func (h *mailHog) clear(ctx context.Context, _ func() ([]string, error)) error {
	_, err := h.do(ctx, http.MethodDelete, "/api/v1/messages", nil)
	return err
}

const (
	// quietTime is how long nothing may have been delivered before MailHog is asked for a message by its id.
	quietTime = 20 * time.Millisecond
	// quietTimeout bounds the wait for such a time.
	quietTimeout = time.Second
)

// replaced is what JSON turns every byte into that is not UTF-8.
var replaced = []byte(string(utf8.RuneError))

// raw implements [source]. MailHog's JSON damages 8-bit text in charsets other than UTF-8; where it may have
// done so, the body is fetched in the one form that it leaves alone.
func (h *mailHog) raw(ctx context.Context, m stored) (raw []byte, problem string) {
	raw = []byte(m.Raw.Data)
	if !bytes.Contains(raw, replaced) {
		return raw, ""
	}
	header, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	if bytes.Contains(body, replaced) {
		original, err := h.originalBody(ctx, m.ID)
		if err != nil {
			return raw, fmt.Sprintf("bytes that are not UTF-8 were lost in MailHog's JSON: %v", err)
		}
		raw = bytes.Join([][]byte{header, original}, []byte("\r\n\r\n"))
	}
	if bytes.Contains(header, replaced) {
		problem = "the header holds bytes that are not UTF-8, which were lost in MailHog's JSON: encode them (RFC 2047)"
	}
	return raw, problem
}

// originalBody downloads a body while nothing is delivered. MailHog looks a message up in a map that deliveries write
// and nothing guards: when the two meet, Go's runtime ends it, which takes a tenth of a second of lookups in a burst.
func (h *mailHog) originalBody(ctx context.Context, id string) ([]byte, error) {
	h.lookup.Lock()
	defer h.lookup.Unlock()
	if err := h.awaitQuiet(ctx); err != nil {
		return nil, err
	}
	message, err := h.do(ctx, http.MethodGet, "/api/v1/messages/"+url.PathEscape(id)+"/download", nil)
	if err != nil {
		return nil, err
	}
	_, body, found := bytes.Cut(message, []byte("\r\n\r\n"))
	if !found {
		return nil, errors.New("MailHog's download has no body")
	}
	return append(body, "\r\n"...), nil
}

func (h *mailHog) awaitQuiet(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	before := ^uint64(0)
	return poll.Until(bounded, quietTime, func(context.Context) error {
		if err := h.client.refresh(ctx); err != nil {
			return err
		}
		_, _, now := h.client.index.size()
		if now != before {
			before = now
			return errors.New("deliveries did not pause, and MailHog can be asked for them only then")
		}
		return nil
	})
}

// watch implements [source]: it connects, reads the inbox, and then adds what is pushed to the index. What is pushed while the
// inbox is read is held back, so that the order is kept and no message is missed in between.
func (h *mailHog) watch(ctx context.Context, c *Client, connected func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := h.dial(ctx, "/api/v2/websocket")
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	p := &push{index: c.index, holding: true}
	ended := make(chan error, 1)
	go func() { ended <- h.receive(ctx, conn, p) }()
	if err = h.registered(ctx, conn); err == nil {
		err = c.refresh(ctx)
	}
	p.release()
	if err != nil {
		cancel()
		<-ended
		return err
	}
	connected()
	return <-ended
}

// receive adds what is pushed to the index and does nothing else: MailHog drops a slow receiver, or delays deliveries.
func (h *mailHog) receive(ctx context.Context, conn *websocket.Conn, p *push) error {
	for {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return h.broke(err)
		}
		var m stored
		if err := json.Unmarshal(data, &m); err != nil || m.ID == "" {
			return fmt.Errorf("MailHog at %s pushed something that is no message: %.60q", h.base, data)
		}
		p.add(m)
	}
}

// push are the messages that one connection to MailHog has pushed. Those pushed while the inbox is read for the first time since it
// was opened come after what is being read.
type push struct {
	index   *index
	mu      sync.Mutex // locked before the index's
	held    []stored
	holding bool
}

func (p *push) add(m stored) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holding {
		p.held = append(p.held, m)
	} else {
		p.index.add(m)
	}
}

// release adds the held messages to the index.
func (p *push) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.held {
		p.index.add(m)
	}
	p.held, p.holding = nil, false
}
