package judge

// A matching assigns items to entries: no item to two entries, and, whatever the order of the entries, to as many entries
// as possible (Kuhn's augmenting paths).
type matching[T comparable] struct {
	items []T
	fits  func(entry int, item T) bool
	owner map[T]int // the entry that has the item, or taken
}

// taken is the owner of items that cannot be assigned to another entry.
const taken = -1

// newMatching returns a matching without assignments. It calls fits at most once for each pair, and only where the result
// matters: comparing an email with a golden file may rewrite that file.
func newMatching[T comparable](items []T, fits func(entry int, item T) bool) *matching[T] {
	type pair struct {
		entry int
		item  T
	}
	known := map[pair]bool{}
	return &matching[T]{items: items, owner: map[T]int{}, fits: func(entry int, item T) bool {
		p := pair{entry, item}
		if _, ok := known[p]; !ok {
			known[p] = fits(entry, item)
		}
		return known[p]
	}}
}

// assign assigns a further fitting item to an entry: a free one, else one whose owner fits another item. An entry that has
// an item never loses it without getting another. assign reports whether there was one.
func (m *matching[T]) assign(entry int) bool { return m.assignExcept(entry, map[T]bool{}) }

// assignExcept is assign without the items that are being reassigned already.
func (m *matching[T]) assignExcept(entry int, busy map[T]bool) bool {
	for _, item := range m.items {
		if _, owned := m.owner[item]; !owned && m.fits(entry, item) {
			m.owner[item] = entry
			return true
		}
	}
	for _, item := range m.items {
		owner, owned := m.owner[item]
		if !owned || owner == taken || owner == entry || busy[item] || !m.fits(entry, item) {
			continue
		}
		busy[item] = true
		if m.assignExcept(owner, busy) {
			m.owner[item] = entry
			return true
		}
	}
	return false
}

// takeRest takes all free items that fit an entry.
func (m *matching[T]) takeRest(entry int) []T {
	var all []T
	for _, item := range m.items {
		if _, owned := m.owner[item]; !owned && m.fits(entry, item) {
			m.owner[item] = taken
			all = append(all, item)
		}
	}
	return all
}

// takeOne takes the first free item that satisfies a condition, and returns nil where there is none.
func (m *matching[T]) takeOne(satisfies func(T) bool) *T {
	for _, item := range m.items {
		if _, owned := m.owner[item]; !owned && satisfies(item) {
			m.owner[item] = taken
			return &item
		}
	}
	return nil
}

// of returns what is assigned to an entry.
func (m *matching[T]) of(entry int) []T {
	var all []T
	for _, item := range m.items {
		if owner, owned := m.owner[item]; owned && owner == entry {
			all = append(all, item)
		}
	}
	return all
}

// assigned reports whether an item is assigned to an entry or taken.
func (m *matching[T]) assigned(item T) bool {
	_, owned := m.owner[item]
	return owned
}
