package tap

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func record(s *Set, over bool) *recorder {
	x := s.begin(AppToMail)
	x.publish(func(c *Exchange) { c.Mail = &harness.MailTransaction{From: strconv.FormatUint(c.ID, 10)} })
	if over {
		x.end(nil)
	}
	return x
}

func TestWatch_ReturnsOldAndNewRecords(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	record(s, true)
	open := record(s, false)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	type seen struct {
		id, seq uint64
		over    bool
	}
	got := make(chan seen)
	go func() {
		defer close(got)
		for c, err := range s.Watch(ctx, 0) {
			if err == nil {
				got <- seen{c.ID, c.Seq, c.Over()}
			}
		}
	}()
	require.Equal(t, seen{1, 2, true}, <-got, "its first record has been superseded")
	require.Equal(t, seen{2, 3, false}, <-got)
	open.end(nil)
	require.Equal(t, seen{2, 4, true}, <-got)
	require.EqualValues(t, 4, s.Last())
	record(s, true)
	require.Equal(t, uint64(3), (<-got).id)
	require.NoError(t, s.Close(ctx))
	for range got { // the rest, and then the end
	}
	record(s, true)
	require.EqualValues(t, 6, s.Last(), "a closed log takes no more")

	var after []uint64
	for c, err := range s.Watch(ctx, 3) {
		require.NoError(t, err)
		after = append(after, c.Seq)
	}
	require.Equal(t, []uint64{4, 6}, after)
}

func TestWatch_EndsWithContext(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range s.Watch(ctx, 0) {
		}
	}()
	cancel()
	<-done
	require.NoError(t, s.Close(t.Context()))
	require.NoError(t, s.Close(t.Context()), "twice is harmless")
}

func TestWatch_ReportsGapToSlowReaders(t *testing.T) {
	t.Parallel()
	s := New(Options{Keep: 4})
	record(s, true)
	var got []string
	for c, err := range s.Watch(t.Context(), 0) {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, strconv.FormatUint(c.Seq, 10))
		if c.Seq == 2 { // while it is looked at, the log moves on
			for range 3 {
				record(s, true)
			}
			require.NoError(t, s.Close(t.Context()))
		}
	}
	const gap = "the taps' log has moved on: 2 records are gone before they were read; read faster, or raise tap.Options.Keep"
	require.Equal(t, []string{"2", gap, "6", "8"}, got)

	got = nil
	for c, err := range s.Watch(t.Context(), 0) {
		require.NoError(t, err, "a reader that begins now has missed nothing")
		got = append(got, strconv.FormatUint(c.Seq, 10))
	}
	require.Equal(t, []string{"6", "8"}, got)
}

func TestWatch_KeepsSequenceOfConcurrentRecords(t *testing.T) {
	t.Parallel()
	s := New(Options{Keep: 64})
	const writers, each = 8, 500
	var readers, writing sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last, missed, seen := uint64(0), uint64(0), uint64(0)
			for c, err := range s.Watch(t.Context(), 0) {
				if gap, ok := err.(*GapError); ok {
					missed += gap.Missed
					continue
				}
				seen++
				if c.Seq <= last {
					t.Errorf("record %d after %d", c.Seq, last)
				}
				last = c.Seq
			}
			if seen+missed > 2*writers*each {
				t.Errorf("%d seen and %d missed are more than there were", seen, missed)
			}
			if last != 2*writers*each {
				t.Errorf("the last record seen was %d", last)
			}
		})
	}
	for range writers {
		writing.Go(func() {
			for range each {
				record(s, true)
			}
		})
	}
	writing.Wait()
	require.NoError(t, s.Close(t.Context()))
	readers.Wait()
	// Of the last 64 records those are superseded whose exchange has another among them. An exchange of each writer may have begun
	// before them, and ended among them.
	left := s.Exchanges()
	require.GreaterOrEqual(t, len(left), 32)
	require.LessOrEqual(t, len(left), 32+writers/2)
	for _, c := range left {
		require.True(t, c.Over(), "the record of an end supersedes that of the beginning")
	}
}
