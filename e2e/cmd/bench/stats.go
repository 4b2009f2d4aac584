package main

import (
	"math"
	"slices"
	"time"
)

// medianInterval returns the median of samples and its 95 % confidence interval, from the order statistics: it
// assumes nothing about their distribution.
func medianInterval(samples []time.Duration) (median, low, high time.Duration) {
	if len(samples) == 0 {
		return 0, 0, 0
	}
	s := slices.Sorted(slices.Values(samples))
	n := float64(len(s))
	half := 1.96 * math.Sqrt(n) / 2
	at := func(rank float64) time.Duration {
		return s[int(min(max(rank, 0), n-1))]
	}
	median = s[len(s)/2]
	if len(s)%2 == 0 {
		median = (median + s[len(s)/2-1]) / 2
	}
	return median, at(math.Floor(n/2 - half)), at(math.Ceil(n/2 + half))
}

// ratios divides pair by pair and returns the median of that, with its 95 % confidence interval.
func ratios(a, b []time.Duration) (median, low, high float64) {
	const unit = 1e6 // medianInterval is of durations
	r := make([]time.Duration, min(len(a), len(b)))
	for i := range r {
		r[i] = time.Duration(unit * float64(a[i]) / float64(b[i]))
	}
	m, l, h := medianInterval(r)
	return float64(m) / unit, float64(l) / unit, float64(h) / unit
}
