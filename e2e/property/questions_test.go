package property

import (
	"slices"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// exact is the expectation that says all that the facts do.
func (f facts) exact() harness.Expectation {
	e := harness.Expectation{NoOtherRuns: true, NoOtherMail: true}
	for _, r := range f.runs {
		run := harness.RunExpectation{Function: r.function}
		if len(r.statuses) == 1 {
			run.Status = r.statuses[0]
		}
		for _, s := range r.steps {
			switch {
			case r.unknown:
			case s.lost:
				run.Steps = append(run.Steps, harness.StepExpectation{ID: s.id, Occurrence: s.occurrence})
			default:
				run.Steps = append(run.Steps, harness.StepExpectation{
					ID: s.id, Occurrence: s.occurrence, Status: s.status, Attempts: s.tries,
				})
			}
		}
		e.Runs = append(e.Runs, run)
	}
	for _, m := range f.mails {
		same := func(o harness.MailExpectation) bool { return o.To == m.to && *o.Subject.Equals == m.subject }
		i := slices.IndexFunc(e.Mail, same)
		if i < 0 {
			i = len(e.Mail)
			e.Mail = append(e.Mail, harness.MailExpectation{To: m.to, Subject: harness.Equals(m.subject)})
		}
		e.Mail[i].Copies++
	}
	return e
}

// questions are expectations near the facts, the exact one first: true ones, and ones that are wrong in one thing.
func (f facts) questions(app App) []harness.Expectation {
	exact := f.exact()
	all := []harness.Expectation{exact}
	but := func(change func(*harness.Expectation)) {
		e := exact
		e.Runs, e.Mail = slices.Clone(exact.Runs), slices.Clone(exact.Mail)
		for i := range e.Runs {
			e.Runs[i].Steps = slices.Clone(e.Runs[i].Steps)
		}
		change(&e)
		if e.Validate() == nil {
			all = append(all, e)
		}
	}
	for i, r := range exact.Runs {
		but(func(e *harness.Expectation) { e.Runs = slices.Delete(e.Runs, i, i+1) })
		but(func(e *harness.Expectation) { e.Runs, e.NoOtherRuns = slices.Delete(e.Runs, i, i+1), false })
		but(func(e *harness.Expectation) { e.Runs = append(e.Runs, harness.RunExpectation{Function: r.Function}) })
		for _, s := range harness.Statuses() {
			but(func(e *harness.Expectation) { e.Runs[i].Status = s })
		}
		but(func(e *harness.Expectation) {
			e.Runs[i].Steps = append(e.Runs[i].Steps, harness.StepExpectation{ID: "never"})
		})
		for k, s := range r.Steps {
			but(func(e *harness.Expectation) { e.Runs[i].Steps[k].Attempts++ })
			but(func(e *harness.Expectation) { e.Runs[i].Steps[k].Occurrence = 0 })
			but(func(e *harness.Expectation) {
				e.Runs[i].Steps = append(e.Runs[i].Steps, harness.StepExpectation{ID: s.ID})
			})
			but(func(e *harness.Expectation) { e.Runs[i].Steps[k].Occurrence++ })
			but(func(e *harness.Expectation) { e.Runs[i].Steps[k].Status = otherEnd(s.Status) })
		}
	}
	for i, m := range exact.Mail {
		but(func(e *harness.Expectation) { e.Mail = slices.Delete(e.Mail, i, i+1) })
		but(func(e *harness.Expectation) { e.Mail, e.NoOtherMail = slices.Delete(e.Mail, i, i+1), false })
		but(func(e *harness.Expectation) { e.Mail[i].Copies++ })
		but(func(e *harness.Expectation) { e.Mail[i].Copies-- })
		but(func(e *harness.Expectation) { e.Mail[i].Subject = harness.Equals("Another") })
		but(func(e *harness.Expectation) {
			e.Mail = slices.DeleteFunc(e.Mail, func(o harness.MailExpectation) bool { return o.To == m.To })
			e.Mail = append(e.Mail, harness.MailExpectation{To: m.To, Absent: true})
		})
		but(func(e *harness.Expectation) { *e = harness.Expectation{Mail: []harness.MailExpectation{{To: m.To}}} })
	}
	return append(all, general(app)...)
}

func otherEnd(s harness.Status) harness.Status {
	if s == harness.StatusFailed {
		return harness.StatusCompleted
	}
	return harness.StatusFailed
}

// general are expectations that can be asked of an app before it has done anything.
func general(app App) []harness.Expectation {
	all := []harness.Expectation{
		{NoOtherRuns: true},
		{NoOtherMail: true},
		{NoOtherRuns: true, Runs: []harness.RunExpectation{{Function: name(0)}}},
	}
	for i := range app.Functions {
		all = append(all, harness.Expectation{Runs: []harness.RunExpectation{{Function: name(i), Status: harness.StatusCompleted}}})
	}
	for _, to := range people {
		all = append(all,
			harness.Expectation{Mail: []harness.MailExpectation{{To: to, Absent: true}}},
			harness.Expectation{Mail: []harness.MailExpectation{{To: to, Copies: 1}}},
			harness.Expectation{NoOtherMail: true, Mail: []harness.MailExpectation{{To: to}}})
	}
	return all
}
