package inbox

import (
	"context"
	"errors"
	"fmt"
)

// firstPage is how many messages the first page holds, before it is known how big they are.
const firstPage = 50

const (
	// maxPage is the most messages that one page holds: MailHog has no larger ones.
	maxPage = 250
	// maxPageBytes is about how big a page may get: MailHog's hold each message several times over, attachments included.
	maxPageBytes = 16 << 20
)

// maxWalks is how often a walk starts anew when the inbox changed under it in a way that could have hidden a message.
const maxWalks = 20

// patience is how often the first messages are read again before one that is counted is looked for further down.
const patience = 3

// walked is what a walk from the newest message backwards found.
type walked struct {
	items []stored // newest first
	total int      // how many messages the mailbox had at the last page
	end   bool     // it came to the oldest message, rather than to a settled one
	// removed says that messages have been removed: there are fewer than are known.
	removed bool
}

// walker reads a mailbox's list of messages into an index.
type walker struct {
	source   source
	index    *index
	removals uint64 // of the source, before the index was last brought up to date by reading all messages
}

// update does what [Client.refresh] promises. It is not called concurrently.
func (w *walker) update(ctx context.Context) (err error) {
	if known, _, _ := w.index.size(); known == 0 { // all messages are read
		if w.removals, err = w.source.removals(ctx); err != nil {
			return err
		}
	}
	changed, err := w.updateFrom(ctx, false)
	if err != nil {
		return err
	}
	// Asked after the list: if nothing was removed until now, the list was complete without reading it to its end.
	removals, err := w.source.removals(ctx)
	if err != nil {
		return err
	}
	if changed || removals != w.removals {
		// Messages were deleted, and only reading all of them shows which.
		w.removals = removals
		_, err = w.updateFrom(ctx, true)
	}
	return err
}

// updateFrom walks from the newest message to the first settled one, or to the oldest, and takes what it finds into the
// index. It reports whether messages are missing that the walk did not come to.
func (w *walker) updateFrom(ctx context.Context, toEnd bool) (missing bool, err error) {
	known, unsettled, before := w.index.size()
	limit := min(unsettled+1, maxPage) // the messages that were pushed, and the one they came after
	if known == 0 || !w.source.appends() {
		limit = firstPage
	}
	found, err := w.walk(ctx, limit, known, toEnd)
	if err != nil {
		return false, err
	}
	if err := w.load(ctx, found); err != nil {
		return false, err
	}
	return w.index.merge(found, before, known) || found.removed, nil
}

// load completes the messages that were found.
func (w *walker) load(ctx context.Context, found *walked) error {
	whole := make(map[string]stored, len(found.items))
	var fresh []stored
	for _, m := range found.items {
		if e := w.index.get(m.ID); e != nil {
			whole[m.ID] = e.stored
		} else {
			fresh = append(fresh, m)
		}
	}
	loaded, err := w.source.load(ctx, fresh)
	if err != nil {
		return err
	}
	for _, m := range loaded {
		whole[m.ID] = m
	}
	items := found.items
	found.items = nil
	for _, m := range items {
		if m, ok := whole[m.ID]; ok {
			found.items = append(found.items, m)
		}
	}
	return nil
}

// walk reads pages from the newest message on. Positions are counted from the newest message, so that a delivery
// between two pages shifts everything: each page therefore starts at the last message of the one before. What a
// deletion shifts the other way cannot be seen but by the overlap being gone, and then the walk starts anew.
func (w *walker) walk(ctx context.Context, limit, known int, toEnd bool) (*walked, error) {
	var err error
	for i := range maxWalks {
		var found *walked
		if found, err = w.tryWalk(ctx, limit, known, toEnd, i < patience); err == nil {
			return found, nil
		}
		if !errors.Is(err, errTorn) || ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s's list changed under every one of %d attempts to read it: %w", w.source.name(), maxWalks, err)
}

func (w *walker) tryWalk(ctx context.Context, limit, known int, toEnd, patient bool) (*walked, error) {
	found := &walked{}
	seen := map[string]bool{}
	for start := 0; ; {
		p, err := w.source.page(ctx, start, limit)
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
		follows, settled := start == 0, false
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
			if settled = settled || w.index.settled(m.ID); settled && !toEnd && w.source.appends() {
				return found, nil
			}
		}
		if settled && !toEnd {
			if missing := p.Total - known - w.fresh(found.items); missing <= 0 {
				found.removed = missing < 0
				return found, nil
			}
			if patient { // the list is read before its messages are counted
				return nil, fmt.Errorf("%w: it counts a message that it does not list yet", errTorn)
			}
			// One has come further down.
		}
		if start+len(p.Items) >= p.Total {
			found.end = true
			return found, nil
		}
		start += max(len(p.Items)-1, 0)
		limit = nextLimit(p, limit)
	}
}

// fresh counts the messages that are not in the index.
func (w *walker) fresh(items []stored) (n int) {
	for _, m := range items {
		if w.index.get(m.ID) == nil {
			n++
		}
	}
	return n
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

// nextLimit lets pages grow, to the most that MailHog gives or to what is too big: mostly there are few new messages.
func nextLimit(p *page, limit int) int {
	limit = min(8*limit, maxPage)
	if n := len(p.Items); n > 0 {
		limit = min(limit, maxPageBytes/max(p.size/n, 1))
	}
	return max(limit, 2) // one message of overlap and a new one
}
