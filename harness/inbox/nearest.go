package inbox

import "github.com/odoo-maintenance/inngest-harness/harness"

// lookBack is how many messages are compared when the nearest is sought: decoding more would make a failing test slow.
const lookBack = 1000

// nearest returns the message that comes closest to a filter without matching it, the newest of several, and says in what
// it differs; nil if there is none. It looks at the newest 1,000 messages and at those to the recipient or of the run.
func (c *Client) nearest(f Filter) (nearest *harness.Message, misses []string) {
	candidates, _ := c.index.after("", 0)
	candidates = candidates[max(0, len(candidates)-lookBack):]
	if f.To != "" {
		to, _ := c.index.after(keyTo(f.To), 0)
		candidates = append(to, candidates...)
	}
	if f.RunID != "" {
		of, _ := c.index.after(keyRun(f.RunID), 0)
		candidates = append(of, candidates...)
	}
	best, newest := -1, uint64(0)
	for _, e := range candidates {
		m := c.decode(e)
		differs, score := f.compare(m, c.index.runHeader)
		if len(differs) > 0 && (score > best || score == best && e.seq > newest) {
			nearest, misses, best, newest = m, differs, score, e.seq
		}
	}
	return nearest, misses
}
