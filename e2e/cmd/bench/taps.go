package main

import (
	"context"
	"fmt"
	"time"
)

// benchTaps measures what the taps alone cost: the same event, through the same client and inbox, on a stack with taps and
// on one without, in turns.
func benchTaps(ctx context.Context, n int) ([]figure, error) {
	tapped, plain, done, err := newPair(ctx)
	if err != nil {
		return nil, err
	}
	defer done()

	var with, without []time.Duration
	for i := range n {
		beds, samples := []*bed{tapped, plain}, []*[]time.Duration{&with, &without}
		for k := range beds {
			k = (k + i) % len(beds) // neither always goes first
			pause(ctx)
			d, err := beds[k].event(ctx)
			if err != nil {
				return nil, fmt.Errorf("event %d: %w", i, err)
			}
			*samples[k] = append(*samples[k], d)
		}
	}
	figures := []figure{measured("event → email with taps", with), measured("event → email, the same without taps", without)}
	figures[0].Note = fmt.Sprintf("%+.1f ms for the taps (medians)", figures[0].Median-figures[1].Median)
	return figures, nil
}
