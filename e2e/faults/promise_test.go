package faults_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// promise is what a row expects of each of its requests, beside what holds for all of them.
type promise struct {
	// reason is part of the reason of a request that fails permanently. Empty: the email is sent.
	reason string
	// copies is how many copies the mail server accepts, all with one Message-ID. There may be one more for each
	// acceptance that did not reach the app in time, whatever the cause.
	copies int
}

// sent promises an email and no copy of it.
func sent() promise { return promise{copies: 1} }

// sentTwice promises an email and, because its acceptance could not be recorded, one copy of it.
func sentTwice() promise { return promise{copies: 2} }

// failed promises no email and a reason.
func failed(reason string) promise { return promise{reason: reason} }

func (p promise) String() string {
	switch {
	case p.reason != "":
		return fmt.Sprintf("failed, with the reason %q; no email", p.reason)
	case p.copies == 1:
		return "sent, one copy"
	default:
		return fmt.Sprintf("sent, %d copies with one Message-ID", p.copies)
	}
}

// outcome is what happened to one request.
type outcome struct {
	request app.Request // as stored in the end
	// accepted are the Message-IDs of the emails that the mail server accepted for this request's technician, in
	// sequence. No other request has the same technician. unreported is how many of these acceptances did not reach the
	// app in time, refused how many deliveries failed.
	accepted   []string
	unreported int
	refused    int
}

// check returns an error for what was not kept of the promise.
func (p promise) check(o outcome) error {
	n := o.request.Notification
	var errs []error
	broken := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("request %s: "+format, append([]any{o.request.ID}, args...)...))
	}
	want := app.Sent
	if p.reason != "" {
		want = app.Failed
	}
	if n.State != want {
		broken("it is %s, not %s (generation %d, last error %q)", n.State, want, n.Generation, n.LastError)
	}
	if !strings.Contains(n.Reason, p.reason) || (p.reason == "") != (n.Reason == "") {
		broken("the reason shown is %q, not one with %q", n.Reason, p.reason)
	}
	most := p.copies
	if p.copies > 0 {
		most = max(p.copies, 1+o.unreported)
	}
	switch n := len(o.accepted); {
	case n < p.copies, n > most && most == p.copies:
		broken("the mail server accepted %d copies, not %d", n, p.copies)
	case n > most:
		broken("the mail server accepted %d copies, though all but %d acceptances reached the app in time", n, o.unreported)
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(o.accepted))) {
		if id != strings.Trim(n.MessageID, "<>") {
			broken("the mail server accepted the Message-ID %q, which is not the request's, %s", id, n.MessageID)
		}
	}
	return errors.Join(errs...)
}

// String describes the outcome in a few words.
func (o outcome) String() string {
	n := o.request.Notification
	var b strings.Builder
	b.WriteString(string(n.State))
	if n.State == app.Failed {
		fmt.Fprintf(&b, " (%s)", n.Reason)
	}
	if copies := len(o.accepted); copies > 0 {
		fmt.Fprintf(&b, ", %s", count(copies, "copy", "copies"))
	}
	if o.refused > 0 {
		fmt.Fprintf(&b, ", %s in vain", count(o.refused, "delivery", "deliveries"))
	}
	if n.Generation > 1 {
		fmt.Fprintf(&b, ", dispatched %d times", n.Generation)
	}
	return b.String()
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func TestPromise(t *testing.T) {
	t.Parallel()
	request := func(state app.State, reason string) app.Request {
		return app.Request{ID: "r1", Notification: app.Notification{
			State: state, Reason: reason, MessageID: "<r1@plant.test>", Generation: 2, LastError: "451 later",
		}}
	}
	const own = "r1@plant.test"
	tests := map[string]struct {
		promise promise
		outcome outcome
		broken  string // part of the error; empty: kept
		text    string // of the outcome, where it matters
	}{
		"sent": {
			sent(), outcome{request(app.Sent, ""), []string{own}, 0, 2}, "",
			"sent, 1 copy, 2 deliveries in vain, dispatched 2 times",
		},
		"sent twice":                   {sentTwice(), outcome{request(app.Sent, ""), []string{own, own}, 0, 0}, "", "sent, 2 copies, dispatched 2 times"},
		"failed":                       {failed("550 no"), outcome{request(app.Failed, "refused: 550 no such user"), nil, 0, 1}, "", "failed (refused: 550 no such user), 1 delivery in vain, dispatched 2 times"},
		"never finished":               {sent(), outcome{request(app.Dispatched, ""), []string{own}, 0, 0}, `request r1: it is dispatched, not sent (generation 2, last error "451 later")`, ""},
		"failed without cause":         {sent(), outcome{request(app.Failed, "no"), nil, 0, 0}, "it is failed, not sent", ""},
		"failed without reason":        {failed("550"), outcome{request(app.Failed, ""), nil, 0, 0}, `the reason shown is "", not one with "550"`, ""},
		"sent, not failed":             {failed("550"), outcome{request(app.Sent, ""), []string{own}, 0, 0}, "it is sent, not failed", ""},
		"lost":                         {sent(), outcome{request(app.Sent, ""), nil, 0, 0}, "accepted 0 copies, not 1", ""},
		"a copy too many":              {sent(), outcome{request(app.Sent, ""), []string{own, own}, 0, 0}, "accepted 2 copies, not 1", ""},
		"a copy for one unreported":    {sent(), outcome{request(app.Sent, ""), []string{own, own}, 1, 0}, "", ""},
		"more copies than that":        {sent(), outcome{request(app.Sent, ""), []string{own, own, own}, 1, 0}, "accepted 3 copies, though all but 1 acceptances reached the app in time", ""},
		"sent, unreported, not failed": {failed("550"), outcome{request(app.Failed, "550"), []string{own}, 1, 0}, "accepted 1 copies, not 0", ""},
		"a copy that cannot be recognised": {
			sentTwice(), outcome{request(app.Sent, ""), []string{own, "other@plant.test"}, 0, 0},
			`accepted the Message-ID "other@plant.test", which is not the request's, <r1@plant.test>`, "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.broken == "" {
				require.NoError(t, test.promise.check(test.outcome))
			} else {
				require.ErrorContains(t, test.promise.check(test.outcome), test.broken)
			}
			if test.text != "" {
				require.Equal(t, test.text, test.outcome.String())
			}
		})
	}
	require.Equal(t, "sent, one copy", sent().String())
	require.Equal(t, "sent, 2 copies with one Message-ID", sentTwice().String())
	require.Equal(t, `failed, with the reason "550"; no email`, failed("550").String())
}
