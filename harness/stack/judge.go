package stack

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/inbox"
	"github.com/odoo-maintenance/inngest-harness/harness/inngestapi"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/follow"
	"github.com/odoo-maintenance/inngest-harness/harness/judge"
	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

// JudgeOptions configures a judgement. The zero value is ready to use.
type JudgeOptions struct {
	// Timeout is how long to wait for what should happen. Zero: 10 s. A verdict that is known earlier is returned
	// earlier.
	Timeout time.Duration

	// Golden compares an email with the golden email of that name. Its error says how they differ. Nil: an expectation
	// that names a golden is broken.
	Golden func(name string, m *harness.TraceMail) error

	// Resolve returns an error that says why no page exists at a URL that an email links to, for
	// [harness.CheckResolve]. Nil: the pages of the app and of this machine are requested, and links to other hosts pass.
	Resolve func(url string) error
}

// judgeTimeout is the default of JudgeOptions.Timeout.
const judgeTimeout = 10 * time.Second

// Judge waits until an expectation of what follows from an event is settled and returns the verdict. eventID is the ULID
// that sending the event returned. The error says that the expectation is not valid, or that ctx ended; everything else
// is a verdict.
//
// What an expectation asserts holds as soon as it is true. What it denies (an absent email, no other runs, an exact
// number of copies) holds only when nothing more can happen: the event was picked up, every run that descends from it
// has ended, and the inbox has been read to its end since. Where that is not known in time, the verdict is
// [harness.CannotBeJudged]. It is never known of emails in an IMAP mailbox, which they may reach at any later time.
func (s *Stack) Judge(ctx context.Context, eventID string, e harness.Expectation, o JudgeOptions) (*harness.Verdict, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	o.Timeout = cmp.Or(o.Timeout, judgeTimeout)
	if o.Resolve == nil {
		env, _ := s.Env()
		pages := mailcheck.NewResolver(env.AppURL)
		o.Resolve = func(url string) error { return pages.Resolve(ctx, url) }
	}
	s.ledger.AwaitRoot(eventID)
	src := s.sources()
	src.MailOptional = len(e.Mail) == 0 && !e.NoOtherMail
	src.MailLags = s.inbox.Lags() && !src.MailOptional
	f := follow.New(src, eventID, e.Recipients())
	defer f.Close()
	j := judging{
		stack: s, follower: f, eventID: eventID, expectation: e, began: time.Now(), timeout: o.Timeout,
		options: judge.Options{Golden: o.Golden, Resolve: o.Resolve, Redact: s.redactor.Text, Show: s.redactor.traceMail},
	}
	v, err := j.run(ctx)
	if v != nil && s.app.attached { // other servers end with the stack, and their pages with them
		for i := range v.Trace.Runs {
			v.Trace.Runs[i].URL = s.RunURL(v.Trace.Runs[i].ID)
		}
	}
	if v != nil && v.Outcome != harness.Holds {
		hintAt(s.servers, s.options.Shared, v.Trace, true)
	}
	return s.redactor.verdict(v), s.redactor.Error(err)
}

// Trace returns what is known now of what followed from an event. Emails to the recipients that arrived since the event
// and name no run belong to it.
func (s *Stack) Trace(ctx context.Context, eventID string, recipients ...string) (*harness.Trace, error) {
	src := s.sources()
	src.MailOptional = len(recipients) == 0
	src.MailLags = s.inbox.Lags() && !src.MailOptional
	f := follow.New(src, eventID, recipients)
	defer f.Close()
	trace, err := f.Look(ctx)
	if trace != nil {
		hintAt(s.servers, s.options.Shared, trace, false)
	}
	return s.redactor.trace(trace), s.redactor.Error(err)
}

func (s *Stack) sources() follow.Sources {
	src := follow.Sources{
		API: s.api, Ledger: s.ledger, Taps: s.routes.taps,
		Connected: s.options.Connect, Shared: s.options.Shared, RunHeader: s.options.RunHeader,
		AppLog: s.app.log, SyncError: s.app.SyncError, VisibleWithin: inngestapi.VisibleWithin,
	}
	if s.inbox.BaseURL() == "" {
		src.NoInbox = inbox.ErrNoMailbox.Error()
	} else {
		src.Inbox = s.inbox
	}
	return src
}

// A judging is one call of Judge. Its verdict contains secrets: the expectation is compared with the true values.
type judging struct {
	stack       *Stack
	follower    *follow.Follower
	eventID     string
	expectation harness.Expectation
	options     judge.Options
	began       time.Time
	timeout     time.Duration
	looked      time.Duration // how long the last look took
}

// run looks and compares until the verdict is settled or the time is up.
func (j *judging) run(ctx context.Context) (*harness.Verdict, error) {
	deadline, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	for {
		began := time.Now()
		trace, err := j.follower.Look(deadline)
		j.looked = time.Since(began)
		if err == nil {
			switch result := judge.Compare(j.expectation, trace, j.options); {
			case result.Broken() && j.follower.Settle(deadline):
				// The server saves the end of a run before everything that belongs to it: look once more before
				// a verdict that is final.
				continue
			case result.Broken():
				return result.Final(time.Since(j.began), 0), nil
			case result.Holds() && j.expectation.Denies() && j.follower.Linger(deadline):
				continue
			case result.Holds() || result.Doubtful():
				return result.Final(time.Since(j.began), 0), nil
			}
		}
		// A server that does not answer may do so later.
		if j.follower.Wait(deadline) != nil {
			return j.atDeadline(ctx)
		}
	}
}

// lastLook bounds the look when the time is up; where many verdicts ask at once, lastLooks times the duration of the one before does.
const (
	lastLook  = 2 * time.Second
	lastLooks = 4
)

// atDeadline returns the verdict when the time is up.
func (j *judging) atDeadline(ctx context.Context) (*harness.Verdict, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("judge event %s: %w", j.eventID, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, max(lastLook, lastLooks*j.looked))
	defer cancel()
	j.follower.Refresh()
	trace, err := j.follower.Look(ctx)
	took := time.Since(j.began)
	if err != nil {
		why := fmt.Sprintf("what happened cannot be read: %v", err)
		trace := &harness.Trace{EventID: j.eventID, Unquiet: why, Evidence: []string{why}, Taken: time.Now(), Log: j.stack.app.log(j.follower.Since())}
		return &harness.Verdict{Outcome: harness.CannotBeJudged, Why: why, Took: took, Trace: trace}, nil
	}
	return judge.Compare(j.expectation, trace, j.options).Final(took, j.timeout), nil
}
