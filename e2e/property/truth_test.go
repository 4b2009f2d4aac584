package property

import (
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A truth says whether an expectation is true of the facts.
type truth string

const (
	isTrue  truth = "true"
	isFalse truth = "false"
	unknown truth = "unknown"
)

// truth is what an expectation means, in the fewest words: each entry has something of its own that fits it, and where it
// denies others, nothing is left over.
func (f facts) truth(e harness.Expectation) truth {
	return both(f.runsTruth(e), f.mailTruth(e))
}

func both(a, b truth) truth {
	switch {
	case a == isFalse || b == isFalse:
		return isFalse
	case a == unknown || b == unknown:
		return unknown
	default:
		return isTrue
	}
}

func known(is bool) truth {
	if is {
		return isTrue
	}
	return isFalse
}

func (f facts) runsTruth(e harness.Expectation) truth {
	fits := assignable(len(e.Runs), len(f.runs), func(i, k int) truth { return f.runs[k].truth(e.Runs[i]) })
	return both(fits, known(!e.NoOtherRuns || len(e.Runs) == len(f.runs)))
}

func (r runFact) truth(want harness.RunExpectation) truth {
	if want.Function != r.function {
		return isFalse
	}
	is := isTrue
	if want.Status != "" {
		is = known(slices.Contains(r.statuses, want.Status))
		if is == isTrue && len(r.statuses) > 1 {
			is = unknown
		}
	}
	if r.unknown && len(want.Steps) > 0 {
		return both(is, unknown)
	}
	return both(is, assignable(len(want.Steps), len(r.steps), func(i, k int) truth { return r.steps[k].truth(want.Steps[i]) }))
}

func (s stepFact) truth(want harness.StepExpectation) truth {
	is := known(want.ID == s.id && (want.Occurrence == 0 || want.Occurrence == s.occurrence))
	switch {
	case s.lost && (want.Status != "" || want.Attempts != 0):
		return both(is, unknown)
	case want.Status != "" && want.Status != s.status:
		return isFalse
	case want.Attempts == 0:
		return is
	case s.tries == 0:
		return both(is, unknown)
	default:
		return both(is, known(want.Attempts == s.tries))
	}
}

func (f facts) mailTruth(e harness.Expectation) truth {
	fits := func(i, k int) bool {
		return e.Mail[i].To == f.mails[k].to && (e.Mail[i].Subject.Equals == nil || *e.Mail[i].Subject.Equals == f.mails[k].subject)
	}
	var single []int // the entries for one email
	expected := 0
	for i, m := range e.Mail {
		switch {
		case m.Absent:
			if slices.ContainsFunc(f.mails, func(sent mailFact) bool { return sent.to == m.To }) {
				return isFalse
			}
		case m.Copies > 0: // its emails fit no other entry: the questions are made so
			count := 0
			for k := range f.mails {
				if fits(i, k) {
					count++
				}
			}
			if count != m.Copies {
				return isFalse
			}
			expected += count
		default:
			single = append(single, i)
			expected++
		}
	}
	own := assignable(len(single), len(f.mails), func(i, k int) truth { return known(fits(single[i], k)) })
	return both(own, known(!e.NoOtherMail || expected == len(f.mails)))
}

// assignable says whether each of n entries can have one of m things of its own that fits it.
func assignable(n, m int, fits func(entry, thing int) truth) truth {
	try := func(enough func(truth) bool) bool {
		entryOf := make(map[int]int, m) // by thing
		var assign func(entry int, seen map[int]bool) bool
		assign = func(entry int, seen map[int]bool) bool {
			for k := range m {
				if seen[k] || !enough(fits(entry, k)) {
					continue
				}
				seen[k] = true
				if other, taken := entryOf[k]; !taken || assign(other, seen) {
					entryOf[k] = entry
					return true
				}
			}
			return false
		}
		for i := range n {
			if !assign(i, map[int]bool{}) {
				return false
			}
		}
		return true
	}
	switch {
	case try(func(t truth) bool { return t == isTrue }):
		return isTrue
	case try(func(t truth) bool { return t != isFalse }):
		return unknown
	default:
		return isFalse
	}
}
