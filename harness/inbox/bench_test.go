package inbox_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

// body is about as long as a notification with HTML and text.
const body = 8 << 10

// eachMail runs a benchmark on each mail catcher.
func eachMail(b *testing.B, f func(*testing.B, harness.MailCatcher)) {
	for _, which := range harness.MailCatchers() {
		b.Run(string(which), func(b *testing.B) { f(b, which) })
	}
}

func full(b *testing.B, which harness.MailCatcher) *catcher {
	own := ownCatcher(b, which)
	s := own.sender(b)
	filler := note("s", "Content-Type: text/plain; charset=utf-8", "X-Inngest-Run-Id: r") + fmt.Sprintf("%0*d", body, 0)
	for n := range 10_000 {
		s.deliver(filler, fmt.Sprintf("user%d@plant.test", n))
	}
	return own
}

// BenchmarkWait is the time from the mail catcher's acceptance to the end of Wait.
func BenchmarkWait(b *testing.B) { eachMail(b, benchWait) }

func benchWait(b *testing.B, which harness.MailCatcher) {
	box := newCatcher(b, which, shared[which])
	c, s := box.client(b), box.sender(b)
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
func BenchmarkFirstLookAt10000(b *testing.B) { eachMail(b, benchFirstLookAt10000) }

func benchFirstLookAt10000(b *testing.B, which harness.MailCatcher) {
	own := full(b, which)
	for b.Loop() {
		c := own.open(own.URL)
		n, err := c.Count(context.Background())
		require.NoError(b, err)
		require.Equal(b, 10_000, n)
		require.NoError(b, c.Close(context.Background()))
	}
}

// BenchmarkFindAmong10000 is every further question, which sees what has come since.
func BenchmarkFindAmong10000(b *testing.B) { eachMail(b, benchFindAmong10000) }

func benchFindAmong10000(b *testing.B, which harness.MailCatcher) {
	own := full(b, which)
	c, s := own.client(b), own.sender(b)
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
func BenchmarkReadToEnd(b *testing.B) { eachMail(b, benchReadToEnd) }

func benchReadToEnd(b *testing.B, which harness.MailCatcher) {
	own := full(b, which)
	c := own.client(b)
	require.NoError(b, c.ReadToEnd(context.Background()))
	for b.Loop() {
		require.NoError(b, c.ReadToEnd(context.Background()))
	}
}

// BenchmarkList10000 decodes all of them, once read.
func BenchmarkList10000(b *testing.B) { eachMail(b, benchList10000) }

func benchList10000(b *testing.B, which harness.MailCatcher) {
	own := full(b, which)
	for b.Loop() {
		b.StopTimer()
		c := own.client(b)
		require.NoError(b, c.ReadToEnd(context.Background()))
		b.StartTimer()
		list, err := c.List(context.Background())
		require.NoError(b, err)
		require.Len(b, list, 10_000)
	}
}

// BenchmarkDeliver is the time that a mail catcher takes for one large email, without a tap. MailHog's grows with the square of the size;
// 8 MiB do not get through.
func BenchmarkDeliver(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
		on    []harness.MailCatcher
	}{{"256KiB", 256 << 10, harness.MailCatchers()}, {"1MiB", 1 << 20, harness.MailCatchers()}, {"8MiB", 8 << 20, []harness.MailCatcher{harness.Mailpit}}} {
		raw := note("s", "Content-Type: text/plain") + strings.Repeat(strings.Repeat("x", 74)+"\r\n", size.bytes/76)
		for _, which := range size.on {
			b.Run(size.name+"/"+string(which), func(b *testing.B) {
				s := newSender(b, ownCatcher(b, which).SMTP)
				for b.Loop() {
					s.deliver(raw, "kim@plant.test")
				}
			})
		}
	}
}
