package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// firstPage is how many messages the first page holds, before it is known how big they are.
const firstPage = 50

// maxWalks is how often a walk starts anew when the inbox changed under it in a way that could have hidden a message.
const maxWalks = 20

// walked is what a walk from the newest message backwards found.
type walked struct {
	items []stored // newest first
	total int      // how many messages MailHog had at the last page
	end   bool     // it came to the oldest message, rather than to a settled one
}

// refresh brings the index up to date: when it returns nil, every message that MailHog had received before the call is in
// the index, and what was deleted before the call is not. Calls may overlap; those that come while one is under way
// share the next one.
func (c *Client) refresh(ctx context.Context) error {
	c.mu.Lock()
	if c.ctx.Err() != nil {
		c.mu.Unlock()
		return ErrClosed
	}
	r := c.next
	if r == nil {
		r = &round{done: make(chan struct{})}
		c.next = r
		c.running.Go(func() { c.run(r) })
	}
	c.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("read the inbox: %w", context.Cause(ctx))
	}
}

// round is one refresh, which several callers may wait for.
type round struct {
	done chan struct{}
	err  error
}

func (c *Client) run(r *round) {
	defer close(r.done)
	c.walking.Lock()
	defer c.walking.Unlock()
	c.mu.Lock()
	c.next = nil // a later caller may need something newer than this round will see
	c.mu.Unlock()
	if r.err = c.update(c.ctx); r.err != nil && c.ctx.Err() != nil {
		r.err = ErrClosed
	}
}

// update does what refresh promises; c.walking is held.
func (c *Client) update(ctx context.Context) error {
	changed, err := c.updateFrom(ctx, false)
	if err == nil && changed {
		// Messages were deleted, and only reading all of them shows which.
		_, err = c.updateFrom(ctx, true)
	}
	return err
}

// updateFrom walks from the newest message to the first settled one, or to the oldest, and takes what it finds into the
// index. It reports whether messages are missing that the walk did not come to.
func (c *Client) updateFrom(ctx context.Context, toEnd bool) (missing bool, err error) {
	c.mu.Lock()
	before, known := c.index.seq, len(c.index.byID)
	limit := min(c.index.unsettled+1, maxPage) // the messages that were pushed, and the one they came after
	if known == 0 {
		limit = firstPage
	}
	c.mu.Unlock()

	w, err := c.walk(ctx, limit, toEnd)
	if err != nil {
		return false, err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	seen := make(map[string]bool, len(w.items))
	for _, m := range slices.Backward(w.items) {
		e := c.index.add(m)
		c.index.settle(e)
		seen[m.ID] = true
		if e.seq > before {
			known++
		}
	}
	if w.end {
		c.index.remove(func(e *entry) bool { return e.seq <= before && !seen[e.ID] })
		return false, nil
	}
	return w.total < known, nil
}

// walk reads pages from the newest message on. MailHog counts positions from the newest message, so that a delivery
// between two pages shifts everything: each page therefore starts at the last message of the one before. What a
// deletion shifts the other way cannot be seen but by the overlap being gone, and then the walk starts anew.
func (c *Client) walk(ctx context.Context, limit int, toEnd bool) (*walked, error) {
	var err error
	for range maxWalks {
		var w *walked
		if w, err = c.tryWalk(ctx, limit, toEnd); err == nil {
			return w, nil
		}
		if !errors.Is(err, errTorn) || ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("MailHog's list changed under every one of %d attempts to read it: %w", maxWalks, err)
}

func (c *Client) tryWalk(ctx context.Context, limit int, toEnd bool) (*walked, error) {
	w := &walked{}
	seen := map[string]bool{}
	for start := 0; ; {
		p, err := c.api.messages(ctx, start, limit)
		if err != nil {
			return nil, err
		}
		if err := p.check(start, seen); err != nil {
			return nil, err
		}
		w.total = p.Total
		if start == 0 {
			// A first page too small to go on from is read again, and may have newer messages on top.
			w.items = nil
			clear(seen)
		}
		for _, m := range p.Items {
			if seen[m.ID] {
				continue
			}
			seen[m.ID] = true
			w.items = append(w.items, m)
			if !toEnd && c.settled(m.ID) {
				return w, nil
			}
		}
		if start+len(p.Items) >= p.Total {
			w.end = true
			return w, nil
		}
		start += max(len(p.Items)-1, 0)
		limit = nextLimit(p, limit)
	}
}

// check says whether a page makes sense by itself and fits to what has been seen.
func (p *page) check(start int, seen map[string]bool) error {
	overlap := start == 0
	ids := make(map[string]bool, len(p.Items))
	for _, m := range p.Items {
		if m.ID == "" || ids[m.ID] {
			return fmt.Errorf("%w: a page has a message twice or an empty one", errTorn)
		}
		ids[m.ID] = true
		overlap = overlap || seen[m.ID]
	}
	if !overlap && p.Total > 0 {
		return fmt.Errorf("%w: the page at %d does not follow the one before", errTorn, start)
	}
	return nil
}

// nextLimit lets pages grow, to the most that MailHog gives or to what is too big: mostly there are few new messages, and
// a page holds every message several times over.
func nextLimit(p *page, limit int) int {
	limit = min(8*limit, maxPage)
	if n := len(p.Items); n > 0 {
		limit = min(limit, maxPageBytes/max(p.size/n, 1))
	}
	return max(limit, 2) // one message of overlap and a new one
}

func (c *Client) settled(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.index.byID[id]
	return e != nil && e.settled
}
