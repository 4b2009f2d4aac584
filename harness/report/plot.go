package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// matrix is the fault matrix on one backend.
type matrix struct {
	Backend string
	Kept    int
	Rows    []faultRow
}

// faultRow is a fault with the bar that shows how long it took.
type faultRow struct {
	Fault
	Width float64 // percent of the longest
	Took  string
}

// matrices divides faults by backend, in their order.
func matrices(faults []Fault) []matrix {
	var all []matrix
	for _, f := range faults {
		i := slices.IndexFunc(all, func(m matrix) bool { return m.Backend == f.Backend })
		if i < 0 {
			i = len(all)
			all = append(all, matrix{Backend: f.Backend})
		}
		all[i].Rows = append(all[i].Rows, faultRow{Fault: f, Took: fmt.Sprintf("%.1f s", time.Duration(f.Took).Seconds())})
		if f.Kept {
			all[i].Kept++
		}
	}
	for _, m := range all {
		longest := slices.MaxFunc(m.Rows, func(a, b faultRow) int { return cmp.Compare(a.Fault.Took, b.Fault.Took) }).Fault.Took
		for i, r := range m.Rows {
			if longest > 0 {
				m.Rows[i].Width = 100 * float64(r.Fault.Took) / float64(longest)
			}
		}
	}
	return all
}

// bench is the measurements on one logarithmic axis: they reach from fractions of a millisecond to seconds.
type bench struct {
	Rows  []figureRow
	Ticks []tick
}

// figureRow is a figure and where it stands on the axis, in percent.
type figureRow struct {
	Figure
	At, From, Width float64
	Interval        bool // it is wide enough to be drawn
}

// A tick is a mark on the axis.
type tick struct {
	At    float64
	Label string
}

// benchOf returns nil where there are no figures.
func benchOf(figures []Figure) *bench {
	if len(figures) == 0 {
		return nil
	}
	least, most := math.Inf(1), 0.0
	for _, f := range figures {
		for _, d := range []harness.Duration{f.Low, f.Median, f.High} {
			if v := inMilliseconds(d); v > 0 {
				least, most = min(least, v), max(most, v)
			}
		}
	}
	if most == 0 {
		least, most = 1, 10
	}
	first, last := math.Floor(math.Log10(least)), math.Ceil(math.Log10(most))
	if first == last {
		last++
	}
	at := func(v float64) float64 {
		if !(v > 0) {
			return 0
		}
		return min(100, max(0, 100*(math.Log10(v)-first)/(last-first)))
	}
	b := &bench{}
	for exp := first; exp <= last; exp++ {
		b.Ticks = append(b.Ticks, tick{at(math.Pow(10, exp)), milliseconds(math.Pow(10, exp))})
	}
	for _, f := range figures {
		low, high := cmp.Or(f.Low, f.Median), cmp.Or(f.High, f.Median)
		row := figureRow{Figure: f, At: at(inMilliseconds(f.Median)), From: at(inMilliseconds(low))}
		row.Width = max(0, at(inMilliseconds(high))-row.From)
		row.Interval = row.Width > 0.4
		b.Rows = append(b.Rows, row)
	}
	return b
}

func inMilliseconds(d harness.Duration) float64 { return time.Duration(d).Seconds() * 1000 }

// milliseconds prints a number of milliseconds with as many digits as a person wants.
func milliseconds(v float64) string {
	switch {
	case v >= 1000:
		return trimZero(fmt.Sprintf("%.2f", v/1000)) + " s"
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	case v >= 1:
		return trimZero(fmt.Sprintf("%.1f", v)) + " ms"
	case v <= 0:
		return "0 ms"
	}
	return trimZero(fmt.Sprintf("%.3g", v*1000)) + " µs"
}

// trimZero removes zeros, and then a point, from the end of a decimal fraction.
func trimZero(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
