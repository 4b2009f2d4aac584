package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httputil"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
)

func TestWait_ReturnsWhatIsThere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		c, kim := box.client(t), recipient()
		box.sender(t).deliver(note("one"), kim)
		m, err := c.Wait(limit(t), inbox.Filter{To: kim})
		require.NoError(t, err)
		require.Equal(t, "one", m.Subject)
	})
}

func TestWait_IsPushed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, box *catcher) {
		c, s := box.client(t), box.sender(t)
		kim := recipient()
		for n := range 20 {
			got := make(chan error, 1)
			subject := fmt.Sprint(n)
			go func() {
				_, err := c.Wait(limit(t), inbox.Filter{To: kim, Subject: subject})
				got <- err
			}()
			s.deliver(note("something else"), kim)
			s.deliver(note(subject), kim)
			require.NoError(t, <-got)
		}
	})
}

func TestWatch_YieldsWhatIsThereAndThenWhatComes(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		c := own.client(t)
		// Far more than MailHog queues for a receiver, at all stages: before, during and after the first look.
		const senders, each = 4, 300
		var delivering sync.WaitGroup
		for i := range senders {
			s := own.sender(t)
			s.deliver(note(fmt.Sprintf("%d/0", i)), "kim@plant.test")
			delivering.Go(func() {
				for n := 1; n < each; n++ {
					s.deliver(note(fmt.Sprintf("%d/%d", i, n)), "kim@plant.test")
				}
			})
		}
		var got []string
		for m, err := range c.Watch(limit(t), inbox.Filter{}) {
			require.NoError(t, err)
			if got = append(got, m.Subject); len(got) == senders*each {
				break
			}
		}
		delivering.Wait()
		requireComplete(t, got, true, senders, each)
	})
}

func TestWatch_MissesNothingWhenConnectionsBreak(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		proxy := proxied(t, own, func(*httputil.ReverseProxy) {})
		c, s := own.clientAt(t, proxy.URL), own.sender(t)
		const each = 300
		delivered := make(chan struct{})
		go func() {
			defer close(delivered)
			for n := range each {
				if n%20 == 7 {
					proxy.CloseClientConnections()
				}
				s.deliver(note(fmt.Sprintf("0/%d", n)), "kim@plant.test")
			}
		}()
		var got []string
		for m, err := range c.Watch(limit(t), inbox.Filter{To: "kim@plant.test"}) {
			require.NoError(t, err)
			if got = append(got, m.Subject); len(got) == each {
				break
			}
		}
		<-delivered
		requireComplete(t, got, true, 1, each)
	})
}

func TestWait_OutlivesTheMailCatcher(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		c := own.client(t)
		own.sender(t).deliver(note("lost"), "kim@plant.test")
		_, err := c.Wait(limit(t), inbox.Filter{Subject: "lost"})
		require.NoError(t, err)

		require.NoError(t, own.Kill(t.Context()))
		_, err = c.Wait(short(t), inbox.Filter{Subject: "new"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "; "+own.which.Title()+"'s websocket at "+own.URL+" cannot be reached (is "+own.which.Title()+" running?): ")
		got := make(chan error, 1)
		go func() {
			_, err := c.Wait(limit(t), inbox.Filter{Subject: "new"})
			got <- err
		}()
		require.NoError(t, own.Start(limit(t)))
		own.sender(t).deliver(note("new"), "kim@plant.test")
		require.NoError(t, <-got)

		list, err := c.List(limit(t))
		require.NoError(t, err)
		require.Equal(t, []string{"new"}, subjects(list), "what the first one had is gone")
	})
}

func TestWait_StartsBeforeTheMailCatcher(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		require.NoError(t, own.Kill(t.Context()))
		c := own.client(t)
		got := make(chan error, 1)
		go func() {
			_, err := c.Wait(limit(t), inbox.Filter{})
			got <- err
		}()
		require.NoError(t, own.Start(limit(t)))
		own.sender(t).deliver(note("new"), "kim@plant.test")
		require.NoError(t, <-got)
	})
}

// ready returns once the client has looked at the mail catcher and can say what is there.
func ready(t *testing.T, c *inbox.Client) {
	require.NoError(t, c.ReadToEnd(limit(t)))
}

func TestWaitError_NamesTheNearestMessage(t *testing.T) {
	t.Parallel()
	onOwn(t, func(t *testing.T, own *catcher) {
		c, s := own.client(t), own.sender(t)
		ready(t, c)

		_, err := c.Wait(short(t), inbox.Filter{To: "kim@plant.test"})
		require.Regexp(t, `^no email to kim@plant\.test in \S+s; the inbox is empty$`, err)

		s.deliver(note("Pump"), "lee@plant.test")
		ready(t, c)
		_, err = c.Wait(short(t), inbox.Filter{To: "kim@plant.test", Subject: "Pump"})
		require.Regexp(t, `^no email to kim@plant\.test with subject "Pump" in \S+s; the inbox holds 1 other, the nearest to lee@plant\.test, `+
			`subject "Pump", received \d\d:\d\d:\d\d\.\d{3}: it went to lee@plant\.test$`, err)

		s.deliver(note("Fan", "X-Inngest-Run-Id: r2"), "kim@plant.test")
		s.deliver(note("Door"), "ann@plant.test")
		ready(t, c)
		_, err = c.Wait(short(t), inbox.Filter{To: "kim@plant.test", From: "other@plant.test", Subject: "Pump", RunID: "r1",
			Header: map[string]string{"X-Tag": "a"}, Match: func(*harness.Message) bool { return false }})
		require.Regexp(t, `^no email to kim@plant\.test from other@plant\.test with subject "Pump" of run r1 with X-Tag: "a" that meets a further condition in \S+s; `+
			`the inbox holds 3 others, the nearest to kim@plant\.test, subject "Fan", received .*: it is from desk@plant\.test; its subject is "Fan"; `+
			`it is of run r2; it has no X-Tag$`, err)
		var we *inbox.WaitError
		require.ErrorAs(t, err, &we)
		require.Equal(t, "Fan", we.Nearest.Subject)
		require.Equal(t, 3, we.Count)
		require.Greater(t, we.Waited, 40*time.Millisecond, "the time it was given, which began a little before the wait")

		_, err = c.Wait(short(t), inbox.Filter{Subject: "Pump", To: "ann@plant.test", Header: map[string]string{"X-Tag": "a"}})
		require.ErrorAs(t, err, &we)
		require.Equal(t, "Door", we.Nearest.Subject, "the recipient counts for more than the subject")

		ctx, cancel := context.WithCancelCause(limit(t))
		cancel(errors.New("run 01H failed"))
		_, err = c.Wait(ctx, inbox.Filter{To: "zoe@plant.test"})
		require.ErrorContains(t, err, ": run 01H failed")
	})
}
