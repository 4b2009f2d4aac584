package inbox

import (
	"cmp"
	"context"
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// lookBack is how many messages are compared when the nearest is sought: decoding more would make a failing test slow.
const lookBack = 1000

// Nearest returns up to n messages that come closest to a filter without matching it, the closest first and of equals
// the newest first: what to show when an email is missing. It looks at the newest 1,000 messages, those to the recipient
// or of the run first.
func (c *Client) Nearest(ctx context.Context, f Filter, n int) ([]*harness.Message, error) {
	if err := c.refresh(ctx); err != nil {
		return nil, err
	}
	return c.nearest(f, n), nil
}

func (c *Client) nearest(f Filter, n int) []*harness.Message {
	candidates := c.entries("", 0)
	candidates = candidates[max(0, len(candidates)-lookBack):]
	if f.To != "" {
		candidates = append(c.entries(keyTo(f.To), 0), candidates...)
	}
	if f.RunID != "" {
		candidates = append(c.entries(keyRun(f.RunID), 0), candidates...)
	}
	type scored struct {
		e     *entry
		score int
	}
	seen := map[*entry]bool{}
	var all []scored
	for _, e := range candidates {
		m := c.decode(e)
		if !seen[e] && !f.match(m, c.index.runHeader) {
			all = append(all, scored{e, f.score(m, c.index.runHeader)})
		}
		seen[e] = true
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.e.seq, a.e.seq))
	})
	var nearest []*harness.Message
	for _, s := range all[:min(n, len(all))] {
		nearest = append(nearest, s.e.decoded)
	}
	return nearest
}

// score is higher the more of f a message meets. Its run and its recipient say most about what a message is.
func (f Filter) score(m *harness.Message, runHeader string) int {
	score := 0
	for _, part := range []struct {
		asked  bool
		alone  Filter
		weight int
	}{
		{f.RunID != "", Filter{RunID: f.RunID}, 8},
		{f.To != "", Filter{To: f.To}, 6},
		{f.Subject != "", Filter{Subject: f.Subject}, 3},
		{f.From != "", Filter{From: f.From}, 1},
	} {
		if part.asked && part.alone.match(m, runHeader) {
			score += part.weight
		}
	}
	for name, value := range f.Header {
		if (Filter{Header: map[string]string{name: value}}).match(m, runHeader) {
			score += 2
		}
	}
	return score
}
