package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The elements of a JUnit file, as CI systems read them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr,omitempty"`
		Cases     []junitCase `xml:"testcase"`
		took      time.Duration
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		Classname string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		Failure   *junitFailure `xml:"failure"`
		Skipped   *junitSkipped `xml:"skipped"`
		Out       string        `xml:"system-out,omitempty"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the tests as JUnit XML: one suite for each package.
func (rep *Report) WriteJUnit(w io.Writer) error { return rep.page().writeJUnit(w) }

func (p *page) writeJUnit(w io.Writer) error {
	var suites []junitSuite
	for _, p := range p.Packages {
		s := junitSuite{Name: p.Path}
		for _, t := range p.Tests {
			c := junitCase{Name: t.Test, Classname: p.Path, Out: junitOut(t)}
			switch t.Outcome {
			case Failed:
				c.Failure = &junitFailure{Message: firstLine(t.reason()), Type: "failure", Text: t.failureText()}
			case Skipped:
				c.Skipped = &junitSkipped{}
			}
			s.add(c, t.Record.Took)
			if at := t.Began.UTC().Format("2006-01-02T15:04:05"); s.Timestamp == "" || at < s.Timestamp {
				s.Timestamp = at
			}
		}
		suites = append(suites, s)
	}
	return writeJUnit(w, suites)
}

// add adds a test and counts it.
func (s *junitSuite) add(c junitCase, took time.Duration) {
	c.Time = seconds(took)
	s.Cases = append(s.Cases, c)
	s.Tests++
	s.took += took
	s.Time = seconds(s.took)
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func writeJUnit(w io.Writer, suites []junitSuite) error {
	all := junitSuites{Name: marker, Suites: suites}
	var total time.Duration
	for _, s := range suites {
		total += s.took
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Skipped += s.Skipped
	}
	all.Time = seconds(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// reason is why a test failed, in one sentence: the first broken hop, where there is one.
func (t *test) reason() string {
	switch {
	case t.Broken != nil:
		return t.Broken.Why
	case len(t.Failures) > 0:
		return t.Failures[0]
	}
	return "it failed outside its verdicts: see the output of the tests"
}

// failureText is all that is known of why a test failed.
func (t *test) failureText() string {
	texts := append([]string{}, t.Failures...)
	if len(texts) == 0 {
		for _, v := range t.Verdicts {
			if v.Err() != nil {
				texts = append(texts, v.String())
			}
		}
	}
	return strings.Join(texts, "\n\n")
}

func junitOut(t *test) string {
	var lines []string
	for _, e := range t.Emails {
		lines = append(lines, fmt.Sprintf("email to %s: %s (%s)", e.To, e.Subject, e.Kind))
	}
	if t.Evidence != "" {
		lines = append(lines, "evidence: "+t.Evidence)
	}
	return strings.Join(lines, "\n")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
