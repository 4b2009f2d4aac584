package inbox

import (
	"context"
	"errors"
	"fmt"
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

// walker reads MailHog's list of messages into an index.
type walker struct {
	api   api
	index *index
}

// update does what [Client.refresh] promises. It is not called concurrently.
func (w *walker) update(ctx context.Context) error {
	changed, err := w.updateFrom(ctx, false)
	if err == nil && changed {
		// Messages were deleted, and only reading all of them shows which.
		_, err = w.updateFrom(ctx, true)
	}
	return err
}

// updateFrom walks from the newest message to the first settled one, or to the oldest, and takes what it finds into the
// index. It reports whether messages are missing that the walk did not come to.
func (w *walker) updateFrom(ctx context.Context, toEnd bool) (missing bool, err error) {
	known, unsettled, before := w.index.size()
	limit := min(unsettled+1, maxPage) // the messages that were pushed, and the one they came after
	if known == 0 {
		limit = firstPage
	}
	found, err := w.walk(ctx, limit, toEnd)
	if err != nil {
		return false, err
	}
	return w.index.merge(found, before, known), nil
}

// walk reads pages from the newest message on. MailHog counts positions from the newest message, so that a delivery
// between two pages shifts everything: each page therefore starts at the last message of the one before. What a
// deletion shifts the other way cannot be seen but by the overlap being gone, and then the walk starts anew.
func (w *walker) walk(ctx context.Context, limit int, toEnd bool) (*walked, error) {
	var err error
	for range maxWalks {
		var found *walked
		if found, err = w.tryWalk(ctx, limit, toEnd); err == nil {
			return found, nil
		}
		if !errors.Is(err, errTorn) || ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("MailHog's list changed under every one of %d attempts to read it: %w", maxWalks, err)
}

func (w *walker) tryWalk(ctx context.Context, limit int, toEnd bool) (*walked, error) {
	found := &walked{}
	seen := map[string]bool{}
	for start := 0; ; {
		p, err := w.api.messages(ctx, start, limit)
		if err != nil {
			return nil, err
		}
		if err := p.check(start, seen); err != nil {
			return nil, err
		}
		found.total = p.Total
		if start == 0 {
			// A first page too small to go on from is read again, and may have newer messages on top.
			found.items = nil
			clear(seen)
		}
		follows := start == 0
		for _, m := range p.Items {
			if seen[m.ID] {
				follows = true
				continue
			}
			if !follows {
				continue // newer than the first page: a burst has shifted it this far
			}
			seen[m.ID] = true
			found.items = append(found.items, m)
			if !toEnd && w.index.settled(m.ID) {
				return found, nil
			}
		}
		if start+len(p.Items) >= p.Total {
			found.end = true
			return found, nil
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
