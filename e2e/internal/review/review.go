// Package review creates every request of the fixtures on a stack and writes a report of the outcomes, with each email
// beside its golden.
//
//	st, err := testenv.Start(ctx, backend, stack.Options{})
//	rep, err := review.Write(ctx, os.Stdout, st, dir, "")
package review

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// timeout bounds the wait for one request.
const timeout = 30 * time.Second

// reviewed is a request of the fixtures with the request and the event that the app made of it.
type reviewed struct {
	fixtures.Request
	group   string // typical or hostile
	plant   fixtures.Plant
	created app.Request
	event   string // of the notification
	began   time.Time
}

// Write creates all requests, judges each, prints a line about each to out, and writes the report into dir. goldens is the
// directory of the goldens to compare with; empty means those of the fixtures. Where requests did not end as their
// fixtures say, Write returns both the report and an error that names them.
func Write(ctx context.Context, out io.Writer, st *stack.Stack, dir, goldens string) (*report.Report, error) {
	env, _ := st.Env()
	if goldens == "" {
		var err error
		if goldens, err = os.MkdirTemp("", "golden-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(goldens)
		if err := os.CopyFS(goldens, fixtures.Golden()); err != nil {
			return nil, err
		}
	}
	set, err := golden.Open(goldens, golden.Options{})
	if err != nil {
		return nil, err
	}
	all := accepted()
	for i := range all {
		all[i].began = time.Now()
		if all[i].created, err = testenv.Create(ctx, env.AppURL, all[i].Request); err != nil {
			return nil, err
		}
	}
	// All events are looked up before the first run is judged, so that no event is attributed to another request's run.
	for i := range all {
		if all[i].event, err = awaitEvent(ctx, st, all[i].created); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", all[i].group, all[i].Name, err)
		}
	}
	var wrong []error
	for _, r := range all {
		record, err := r.judge(ctx, st, set)
		if err != nil {
			return nil, err
		}
		if err := report.Save(dir, record); err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "  %-7s %s\n", record.Outcome, record.Test)
		for _, v := range record.Verdicts {
			if v.Outcome != harness.Holds {
				wrong = append(wrong, fmt.Errorf("%s: %s", record.Test, v.Why))
			}
		}
	}
	rep, err := report.Write(dir)
	if err != nil {
		return nil, err
	}
	return rep, errors.Join(wrong...)
}

// accepted returns the requests that the API accepts.
func accepted() []reviewed {
	var all []reviewed
	for _, r := range fixtures.Requests() {
		all = append(all, reviewed{Request: r, group: "typical", plant: fixtures.World()})
	}
	for _, r := range fixtures.HostileRequests() {
		if r.Accepted() {
			all = append(all, reviewed{Request: r, group: "hostile", plant: fixtures.HostileWorld()})
		}
	}
	return all
}

func awaitEvent(ctx context.Context, st *stack.Stack, r app.Request) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return st.AwaitEvent(ctx, app.IdempotencyKey(r.ID, 1))
}

// judge waits for the outcome of a request and returns its record.
func (r reviewed) judge(ctx context.Context, st *stack.Stack, set *golden.Set) (report.Record, error) {
	record := report.Record{
		Package: "fixtures/requests/" + r.group, Test: r.group + "/" + r.Name, Backend: st.Backend(), Began: r.began, Outcome: report.Passed,
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	v, err := st.Judge(ctx, r.event, r.expectation(), stack.JudgeOptions{})
	if err != nil {
		return record, fmt.Errorf("%s: %w", record.Test, err)
	}
	record.Took = time.Since(r.began)
	record.Verdicts = []*harness.Verdict{v}
	if v.Outcome != harness.Holds {
		record.Outcome = report.Failed
	}
	if r.group != "typical" {
		return record, nil
	}
	env, _ := st.Env()
	for i := range v.Trace.Mail {
		var mismatch *golden.MismatchError
		// Ids and addresses differ from one run to the next.
		g, err := report.Compare(set, r.Name, &v.Trace.Mail[i],
			golden.Replacement{Old: r.created.ID, New: "{{request-id}}"}, golden.Replacement{Old: env.AppURL, New: "{{app-url}}"})
		if err != nil && !errors.As(err, &mismatch) && !errors.As(err, new(*golden.MissingError)) {
			return record, err
		}
		record.Goldens = append(record.Goldens, g)
	}
	return record, nil
}

// expectation returns the outcome that the fixture describes.
func (r reviewed) expectation() harness.Expectation {
	run := harness.RunExpectation{Function: "send-request-notification", Status: harness.StatusFailed}
	e := harness.Expectation{NoOtherMail: true}
	if r.Notification != fixtures.Failed {
		run.Status = harness.StatusCompleted
		technician, _ := r.plant.User(r.created.TechnicianID)
		checks := []harness.Check{harness.CheckAll}
		if r.group == "hostile" { // what was typed there looks like a template, or like damaged text
			checks = []harness.Check{harness.CheckText, harness.CheckLinks, harness.CheckResolve, harness.CheckImages, harness.CheckAlt, harness.CheckSize}
		}
		e.Mail = []harness.MailExpectation{{To: technician.Email, Copies: 1, Checks: checks}}
	}
	e.Runs = []harness.RunExpectation{run}
	return e
}
