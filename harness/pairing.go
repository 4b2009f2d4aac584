package harness

// pairing gives entries one thing each, no thing to two of them, so that as many entries as can be get one, whatever
// their order (Kuhn's augmenting paths).
type pairing[T comparable] struct {
	things []T
	fits   func(entry int, thing T) bool
	owner  map[T]int // the entry that a thing is given to, or taken
}

// taken owns what is no entry's and no longer to be given.
const taken = -1

// newPairing returns a pairing in which nothing is given yet. What fits is asked only as far as the answer matters, and
// once: to compare an email with a golden may write that golden.
func newPairing[T comparable](things []T, fits func(entry int, thing T) bool) *pairing[T] {
	type pair struct {
		entry int
		thing T
	}
	known := map[pair]bool{}
	return &pairing[T]{things: things, owner: map[T]int{}, fits: func(entry int, thing T) bool {
		p := pair{entry, thing}
		if _, ok := known[p]; !ok {
			known[p] = fits(entry, thing)
		}
		return known[p]
	}}
}

// give gives an entry a thing that fits it: one that is left, else one whose owner can do with another. An entry that
// has one keeps having one.
func (p *pairing[T]) give(entry int) { p.giveBut(entry, map[T]bool{}) }

// giveBut is give, with things that are being looked at already.
func (p *pairing[T]) giveBut(entry int, but map[T]bool) bool {
	for _, thing := range p.things {
		if _, owned := p.owner[thing]; !owned && p.fits(entry, thing) {
			p.owner[thing] = entry
			return true
		}
	}
	for _, thing := range p.things {
		owner, owned := p.owner[thing]
		if !owned || owner == taken || but[thing] || !p.fits(entry, thing) {
			continue
		}
		but[thing] = true
		if p.giveBut(owner, but) {
			p.owner[thing] = entry
			return true
		}
	}
	return false
}

// takeAll takes all things that are left and fit an entry.
func (p *pairing[T]) takeAll(entry int) []T {
	var all []T
	for _, thing := range p.things {
		if _, owned := p.owner[thing]; !owned && p.fits(entry, thing) {
			p.owner[thing] = taken
			all = append(all, thing)
		}
	}
	return all
}

// of returns what was given to an entry: one thing or none.
func (p *pairing[T]) of(entry int) []T {
	for _, thing := range p.things {
		if owner, owned := p.owner[thing]; owned && owner == entry {
			return []T{thing}
		}
	}
	return nil
}
