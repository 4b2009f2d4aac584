package inbox_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/servertest"
)

// body is about as long as a notification with HTML and text.
const body = 8 << 10

func full(b *testing.B) *servertest.Server {
	own := ownMailHog(b)
	s := newSender(b, own)
	filler := note("s", "Content-Type: text/plain; charset=utf-8", "X-Inngest-Run-Id: r") + fmt.Sprintf("%0*d", body, 0)
	for n := range 10_000 {
		s.deliver(filler, fmt.Sprintf("user%d@plant.test", n))
	}
	return own
}

// BenchmarkWait is the time from MailHog's acceptance to the end of Wait.
func BenchmarkWait(b *testing.B) {
	c, s := newClient(b, hog.URL), newSender(b, hog)
	kim := recipient()
	type arrival struct {
		at  time.Time
		err error
	}
	var total time.Duration
	for n := range b.N {
		subject := fmt.Sprint(n)
		got := make(chan arrival, 1)
		go func() {
			_, err := c.Wait(limit(b), inbox.Filter{To: kim, Subject: subject})
			got <- arrival{time.Now(), err}
		}()
		s.deliver(note(subject), kim)
		accepted := time.Now()
		a := <-got
		require.NoError(b, a.err)
		total += max(0, a.at.Sub(accepted))
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "µs-after-accepted/op")
}

// BenchmarkFirstLookAt10000 is the first question that a client asks.
func BenchmarkFirstLookAt10000(b *testing.B) {
	own := full(b)
	for b.Loop() {
		c := inbox.New(own.URL, inbox.Options{})
		n, err := c.Count(context.Background())
		require.NoError(b, err)
		require.Equal(b, 10_000, n)
		require.NoError(b, c.Close(context.Background()))
	}
}

// BenchmarkFindAmong10000 is every further question, which sees what has come since.
func BenchmarkFindAmong10000(b *testing.B) {
	own := full(b)
	c, s := newClient(b, own.URL), newSender(b, own)
	require.NoError(b, c.ReadToEnd(context.Background()))
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		to := fmt.Sprintf("new%d@plant.test", n)
		s.deliver(note("new"), to)
		b.StartTimer()
		found, err := c.Find(context.Background(), inbox.Filter{To: to})
		require.NoError(b, err)
		require.Len(b, found, 1)
	}
}

// BenchmarkReadToEnd is the cost of a claim that there is no other email.
func BenchmarkReadToEnd(b *testing.B) {
	own := full(b)
	c := newClient(b, own.URL)
	require.NoError(b, c.ReadToEnd(context.Background()))
	for b.Loop() {
		require.NoError(b, c.ReadToEnd(context.Background()))
	}
}

// BenchmarkList10000 decodes all of them, once read.
func BenchmarkList10000(b *testing.B) {
	own := full(b)
	for b.Loop() {
		b.StopTimer()
		c := newClient(b, own.URL)
		require.NoError(b, c.ReadToEnd(context.Background()))
		b.StartTimer()
		list, err := c.List(context.Background())
		require.NoError(b, err)
		require.Len(b, list, 10_000)
	}
}
