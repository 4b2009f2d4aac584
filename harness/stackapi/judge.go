package stackapi

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/golden"
	"github.com/odoo-maintenance/inngest-harness/harness/report"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

func (s *Server) judge(ctx context.Context, in body[Question]) (Answer, error) {
	q := in.Body
	// Everything is validated before an event is sent.
	if (q.EventID == "") == (len(q.Event) == 0) {
		return Answer{}, invalidf("say which event is meant: give one of eventId and event")
	}
	expectation, err := harness.ParseExpectation(q.Expectation)
	if err != nil {
		return Answer{}, invalidf("%w", err)
	}
	options := stack.JudgeOptions{Timeout: time.Duration(q.Timeout)}
	if q.Test != nil {
		if err := q.Test.validate(); err != nil {
			return Answer{}, err
		}
	}
	for i, m := range expectation.Mail {
		if m.Golden != "" && q.Golden == nil {
			return Answer{}, invalidf("mail[%d] names the golden %q: say in golden.dir, or --golden of harness expect, where the goldens are", i, m.Golden)
		}
	}
	var compared comparisons
	if q.Golden != nil {
		if q.Golden.Update {
			s.written.add(q.Golden.Dir)
		}
		set, err := s.goldens.open(*q.Golden, q.Test, s.stack.Options().RunHeader)
		if err != nil {
			return Answer{}, err
		}
		options.Golden = compared.compare(set)
	}
	answer := Answer{EventID: q.EventID}
	if len(q.Event) > 0 {
		event, err := harness.ParseEvent(q.Event)
		if err != nil {
			return Answer{}, invalidf("event: %w", err)
		}
		ids, err := s.stack.Send(ctx, event)
		if err != nil {
			return Answer{}, err
		}
		answer.EventID = ids[0]
	} else if !IsEventID(q.EventID) {
		return Answer{}, invalidf("eventId: %q is no id of an event: it is the ULID that sending one returned, 26 letters and digits", q.EventID)
	}
	answer.Verdict, err = s.stack.Judge(ctx, answer.EventID, expectation, options)
	if err != nil {
		return answer, err
	}
	if q.Test == nil || s.options.StaysUp { // else the stack ends with its tests, and its pages too
		for i, r := range answer.Verdict.Trace.Runs {
			answer.Verdict.Trace.Runs[i].URL = s.stack.RunURL(r.ID)
		}
	}
	answer.Text = answer.Verdict.String()
	if q.Test != nil {
		s.tests.add(*q.Test, answer.Verdict, compared.all())
	}
	return answer, nil
}

// comparisons are those of one question's emails with goldens. The judge repeats them: the last of each golden counts.
type comparisons struct {
	mu   sync.Mutex
	last map[string]report.Golden
}

// compare returns what the judge calls.
func (c *comparisons) compare(set *golden.Set) func(string, *harness.TraceMail) error {
	return func(name string, m *harness.TraceMail) error {
		g, err := report.Compare(set, name, m)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.last == nil {
			c.last = map[string]report.Golden{}
		}
		c.last[name] = g
		return err
	}
}

func (c *comparisons) all() []report.Golden {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []report.Golden
	for _, g := range c.last {
		all = append(all, g)
	}
	return all
}

// goldens are the sets that write, since within a set only one email may write a golden. The zero value has none.
type goldens struct {
	mu   sync.Mutex
	sets map[goldenSet]*golden.Set
}

// goldenSet is what requests for one set have in common: the test, and everything that they say about the set, in JSON.
type goldenSet struct {
	test    TestName
	options string
}

// open returns the set of a request. What writes is kept for further requests of the same test; without one it is not kept.
func (g *goldens) open(o Goldens, test *TestName, runHeader string) (*golden.Set, error) {
	if !filepath.IsAbs(o.Dir) {
		return nil, invalidf("golden: dir is %q: give an absolute path, since the stack has another working directory", o.Dir)
	}
	if o.RunHeader == "" {
		o.RunHeader = runHeader
	}
	set, err := golden.Open(o.Dir, golden.Options{Update: o.Update, Replace: o.Replace, RunHeader: o.RunHeader})
	if err != nil {
		return nil, invalidf("golden: %w", err)
	}
	if !o.Update || test == nil {
		return set, nil
	}
	options, err := json.Marshal(o)
	if err != nil {
		return nil, invalidf("golden: %w", err)
	}
	key := goldenSet{*test, string(options)}
	g.mu.Lock()
	defer g.mu.Unlock()
	if kept := g.sets[key]; kept != nil {
		return kept, nil
	}
	if g.sets == nil {
		g.sets = map[goldenSet]*golden.Set{}
	}
	g.sets[key] = set
	return set, nil
}

// forget forgets the sets of a test.
func (g *goldens) forget(test TestName) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.sets, func(of goldenSet, _ *golden.Set) bool { return of.test == test })
}

func (s *Server) compare(ctx context.Context, in body[Comparison]) (Compared, error) {
	c := in.Body
	if c.Name == "" || c.Mail == "" {
		return Compared{}, invalidf("give the name of a golden, and the id of an email as mail")
	}
	if c.Update {
		s.written.add(c.Dir)
	}
	set, err := s.goldens.open(c.Goldens, &TestName{}, s.stack.Options().RunHeader)
	if err != nil {
		return Compared{}, err
	}
	m, err := s.mail(ctx, c.Mail)
	if err != nil {
		return Compared{}, err
	}
	err = set.Compare(c.Name, s.stack.Redactor().Mail(m)) // as a verdict compares it
	if err == nil {
		return Compared{Matches: true}, nil
	}
	if !errors.As(err, new(*golden.MismatchError)) && !errors.As(err, new(*golden.MissingError)) {
		return Compared{}, invalidf("golden: %w", err)
	}
	return Compared{Text: s.stack.Redactor().Text(err.Error())}, nil
}
