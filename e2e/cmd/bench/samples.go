package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// samples collects durations by name. The zero value is ready to use.
type samples struct {
	names []string // in the order in which they were first added
	of    map[string][]time.Duration
	goals map[string]limit
}

// limit is the most that a median should be: most, or times the median of another name.
type limit struct {
	most  time.Duration
	times float64
	other string
}

// goal sets the limit of a name.
func (s *samples) goal(name string, l limit) {
	if s.goals == nil {
		s.goals = map[string]limit{}
	}
	s.goals[name] = l
}

func (s *samples) add(name string, d time.Duration) {
	if s.of == nil {
		s.of = map[string][]time.Duration{}
	}
	if s.of[name] == nil {
		s.names = append(s.names, name)
	}
	s.of[name] = append(s.of[name], d)
}

// time adds how long f takes, unless f fails.
func (s *samples) time(name string, f func() error) error {
	began := time.Now()
	if err := f(); err != nil {
		return err
	}
	s.add(name, time.Since(began))
	return nil
}

// figures returns a figure for each name. Their notes compare them with the floor, except those of indented names, and with
// their goals. An empty floor is compared with none.
func (s *samples) figures(floor string) []report.Figure {
	var all []report.Figure
	for _, name := range s.names {
		median, low, high := medianInterval(s.of[name])
		f := report.Figure{Name: name, Median: harness.Duration(median), Low: harness.Duration(low), High: harness.Duration(high), N: len(s.of[name])}
		if least, _, _ := medianInterval(s.of[floor]); least > 0 && name != floor && !strings.HasPrefix(name, " ") {
			f.Note = fmt.Sprintf("%.2f × the floor, %+.1f ms (medians)", float64(median)/float64(least), ms(median-least))
		}
		if l, ok := s.goals[name]; ok {
			other, _, _ := medianInterval(s.of[l.other])
			f.Note = strings.TrimPrefix(f.Note+"; "+l.note(median, other), "; ")
		}
		all = append(all, f)
	}
	return all
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// medianInterval returns the median of durations and its 95 % confidence interval, from the order statistics: it assumes
// nothing about their distribution.
func medianInterval(durations []time.Duration) (median, low, high time.Duration) {
	if len(durations) == 0 {
		return 0, 0, 0
	}
	d := slices.Sorted(slices.Values(durations))
	n := float64(len(d))
	half := 1.96 * math.Sqrt(n) / 2
	at := func(rank float64) time.Duration { return d[int(min(max(rank, 0), n-1))] }
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2, at(math.Floor(n/2 - half)), at(math.Ceil(n/2 + half))
}

// notMet ends the note of a figure that misses its goal.
const notMet = ", NOT met"

// note compares a median with the limit. other is the median of what the limit names.
func (l limit) note(median, other time.Duration) string {
	note, most := fmt.Sprintf("goal: under %.0f ms", ms(l.most)), l.most
	if l.other != "" {
		most = time.Duration(l.times * float64(other))
		note = fmt.Sprintf("goal: at most %.2f × %s, measured %.2f ×", l.times, strings.TrimSpace(l.other), float64(median)/float64(other))
	}
	if median > most || median == most && l.other == "" {
		note += notMet
	}
	return note
}

// missed returns an error that names the figures which miss their goal.
func missed(all []report.Figure) error {
	var names []string
	for _, f := range all {
		if strings.Contains(f.Note, notMet) {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("goal not met: %s; if the machine was busy, measure again when it is idle", strings.Join(names, "; "))
}

// alternate calls every function n times: in the given order first, in a random order in each later round. It waits a
// random time before each call: the server looks for new events every 250 ms, so that a figure depends on when they arrive.
func alternate(ctx context.Context, n int, functions ...func() error) error {
	order := make([]int, len(functions))
	for i := range order {
		order[i] = i
	}
	for range n {
		for _, i := range order {
			pause(ctx)
			if err := functions[i](); err != nil {
				return err
			}
		}
		order = rand.Perm(len(functions))
	}
	return nil
}

func pause(ctx context.Context) {
	select {
	case <-time.After(time.Duration(50+rand.IntN(300)) * time.Millisecond):
	case <-ctx.Done():
	}
}
