package tap_test

import (
	"context"
	"fmt"
	"net/http"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/servertest"
	"github.com/odoo-maintenance/inngest-harness/harness/tap"
)

// slow is how long the tests on real servers wait: a retry takes a second or two there.
const slow = time.Minute

// The taps stand between an app on the real SDK and the real Inngest and mail servers.
func TestSet_WithRealServers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // the servers may have to be built
	defer cancel()
	inngest, err := servertest.Inngest(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, inngest.Close(context.Background())) })
	mailHog, err := servertest.MailHog(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, mailHog.Close(context.Background())) })

	for mode, change := range map[string]func(*inngestgo.ClientOpts){"calls": nil, "checkpoints": checkpointing} {
		t.Run(mode, func(t *testing.T) {
			p := emptyEnv(t, tap.Options{})
			mail, err := p.set.SMTP("127.0.0.1:0", mailHog.SMTP)
			require.NoError(t, err)
			p.start(inngest.URL, func(o *inngestgo.ClientOpts) {
				o.AppID = mode
				if change != nil {
					change(o)
				}
			})
			p.duringStep = func(step, run string) error {
				if step != "send" {
					return nil
				}
				text := fmt.Sprintf("To: kim@plant.test\r\nMessage-ID: <%s@plant.test>\r\nX-Inngest-Run-Id: %s\r\n\r\nhello\r\n", run, run)
				return smtp.SendMail(mail.Addr(), nil, "app@plant.test", []string{"kim@plant.test"}, []byte(text))
			}
			p.register(ctx)

			t.Run("a run without a fault", func(t *testing.T) {
				run := p.runOf(t, p.dispatch(t))
				letters := p.deliveries(t, run, 1)
				require.Equal(t, []string{"kim@plant.test"}, letters[0].To)
				require.Equal(t, run+"@plant.test", letters[0].MessageID)
				require.True(t, letters[0].Accepted && letters[0].Reported)
				last := p.lastCall(t, run)
				require.Equal(t, mode == "checkpoints", last.Checkpointed)
				require.Equal(t, mode+"-notify", last.FunctionID)
				require.JSONEq(t, `{"sent":"yes"}`, string(last.Result))
			})
			t.Run("the result of a step is lost", func(t *testing.T) {
				lost := inject(t, p.set, tap.Fault{At: tap.AtStep, Step: "send", Function: "notify", Do: tap.DropAnswer})
				run := p.runOf(t, p.dispatch(t))
				letters := p.deliveries(t, run, 2)
				require.Equal(t, letters[0].MessageID, letters[1].MessageID)
				p.lastCall(t, run)
				require.Equal(t, 1, lost.Applied())
			})
			t.Run("the mail server accepts, the app does not know", func(t *testing.T) {
				inject(t, p.set, tap.Fault{At: tap.AtDot, To: "kim@plant.test", Do: tap.DropAnswer})
				run := p.runOf(t, p.dispatch(t))
				letters := p.deliveries(t, run, 2)
				require.Equal(t, []bool{true, false, true, true}, []bool{letters[0].Accepted, letters[0].Reported, letters[1].Accepted, letters[1].Reported})
			})
			t.Run("the mail server is replaced before a step", func(t *testing.T) {
				hold := inject(t, p.set, tap.Fault{At: tap.AtStep, Step: "send", After: "look-up", Do: tap.Hold})
				event := p.dispatch(t)
				reached(t, hold)
				require.NoError(t, mailHog.Kill(t.Context()))
				require.NoError(t, mailHog.Start(ctx))
				hold.Release()
				run := p.runOf(t, event)
				require.True(t, p.deliveries(t, run, 1)[0].Reported)
				p.lastCall(t, run)
			})
			t.Run("a call is delivered twice", func(t *testing.T) {
				twice := inject(t, p.set, tap.Fault{At: tap.AtCall, Do: tap.Twice})
				run := p.runOf(t, p.dispatch(t))
				p.lastCall(t, run)
				require.Equal(t, 1, twice.Applied())
			})
			t.Run("an event is lost, and one is refused", func(t *testing.T) {
				inject(t, p.set, tap.Fault{At: tap.AtEvent, Do: tap.Discard})
				discarded := p.dispatch(t)
				inject(t, p.set, tap.Fault{At: tap.AtEvent, Do: tap.Reply, Code: 503})
				kept := p.dispatch(t) // the SDK sends it again
				p.lastCall(t, p.runOf(t, kept))
				for _, c := range p.set.Exchanges() {
					require.False(t, c.Call != nil && c.Call.Events[0].IdempotencyKey == discarded)
				}
			})
		})
	}
}

// register syncs the app under the tap's address.
func (p *env) register(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, p.calls.URL()+"/api/inngest", nil)
	require.NoError(p.t, err)
	resp, err := client.Do(req)
	require.NoError(p.t, err)
	_ = resp.Body.Close()
	require.Equal(p.t, http.StatusOK, resp.StatusCode)
	registered := await(p.t, p.set, "the registration", func(c tap.Exchange) bool { return c.Sync != nil && c.Sync.URL != "" && c.Over() })
	require.True(p.t, strings.HasPrefix(registered.Sync.URL, p.calls.URL()))
	require.Equal(p.t, http.StatusOK, registered.HTTP.Status)
}

// dispatch sends an event and returns its idempotency key.
func (p *env) dispatch(t *testing.T) string {
	t.Helper()
	id := fmt.Sprintf("%s-%d", p.client.AppID(), time.Now().UnixNano())
	_, err := p.client.Send(t.Context(), inngestgo.Event{ID: &id, Name: p.client.AppID() + "/broken", Data: map[string]any{"n": 1}})
	require.NoError(t, err)
	return id
}

// follow returns the first record, old or new, that is as wanted.
func (p *env) follow(t *testing.T, what string, wanted func(tap.Exchange) bool) tap.Exchange {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), slow)
	defer cancel()
	for c, err := range p.set.Watch(ctx, 0) {
		require.NoError(t, err)
		if wanted(c) {
			return c
		}
	}
	require.FailNow(t, "never recorded: "+what)
	return tap.Exchange{}
}

func (p *env) runOf(t *testing.T, event string) string {
	t.Helper()
	return p.follow(t, "the call", func(c tap.Exchange) bool { return c.Call != nil && c.Call.Events[0].IdempotencyKey == event }).Call.RunID
}

func (p *env) lastCall(t *testing.T, run string) *tap.Call {
	t.Helper()
	return p.follow(t, "the result", func(c tap.Exchange) bool {
		return onCalls(c) && c.Call.RunID == run && c.HTTP.Status == 200
	}).Call
}

func (p *env) deliveries(t *testing.T, run string, n int) (all []*harness.MailTransaction) {
	t.Helper()
	p.follow(t, fmt.Sprintf("delivery %d", n), func(c tap.Exchange) bool {
		if overMail(c) && c.Mail.RunID == run {
			all = append(all, c.Mail)
		}
		return len(all) == n
	})
	return all
}
