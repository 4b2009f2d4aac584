package judge

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestCompare_ChecksEmails(t *testing.T) {
	t.Parallel()
	e := harness.Expectation{Mail: []harness.MailExpectation{{To: "kim@shop.test", Checks: []harness.Check{harness.CheckAll}}}}
	require.NoError(t, e.Validate())
	links := func(tr *harness.Trace) {
		tr.Mail[0].HTML = `<p>Thank you.</p> <a href="/orders/7">It costs 12</a> <a href="http://127.0.0.1:1/">order</a>`
	}
	o := Options{Resolve: func(url string) error {
		if url == "http://127.0.0.1:1/" {
			return errors.New("the answer is 404 Not Found")
		}
		return errors.New("only absolute links are asked for")
	}}

	sound := func(change func(*harness.Trace)) *harness.Trace {
		return good(func(tr *harness.Trace) {
			tr.Mail[0].Headers = append(tr.Mail[0].Headers, harness.Header{Name: "Date", Value: "x"}, harness.Header{Name: "Message-ID", Value: "<x@shop.test>"})
			if change != nil {
				change(tr)
			}
		})
	}
	require.Empty(t, Compare(e, sound(nil), o).differences)
	v := Compare(e, sound(links), o).verdict(harness.Broken, 0)
	require.Equal(t, []string{
		`email to kim@shop.test: check links: the link "/orders/7" is not absolute: an email has no address that it could be relative to`,
		`email to kim@shop.test: check resolve: the link "http://127.0.0.1:1/" leads nowhere: the answer is 404 Not Found`,
	}, v.Differences)
	require.Equal(t, v.Differences[0], v.Why)

	secret := Options{
		Redact: func(s string) string { return strings.ReplaceAll(s, "s3cret", "***") },
		Show:   func(m *harness.TraceMail) *harness.TraceMail { t.Error("an email is checked as it was sent"); return m },
	}
	e.Mail[0].Checks = []harness.Check{harness.CheckLinks}
	leak := good(func(tr *harness.Trace) { tr.Mail[0].HTML = `<a href="/orders?key=s3cret">order</a>` })
	require.Contains(t, Compare(e, leak, secret).differences[0].text, `"/orders?key=***"`)

	e.Mail[0].Checks = []harness.Check{harness.CheckSize}
	require.Empty(t, Compare(e, good(links), o).differences, "what is not asked for asserts nothing")
}

func TestJudge_RecordedTrace(t *testing.T) {
	t.Parallel()
	v, err := Judge(confirmed(nil), good(nil), Options{})
	require.NoError(t, err)
	require.NoError(t, v.Err())

	v, err = Judge(confirmed(nil), good(func(tr *harness.Trace) { tr.Mail = nil; tr.Quiet, tr.Unquiet = false, "it was taken too early" }), Options{})
	require.NoError(t, err)
	require.Equal(t, harness.Broken, v.Outcome)
	require.NotContains(t, v.Why, "within", "there was no wait")

	_, err = Judge(harness.Expectation{}, good(nil), Options{})
	require.ErrorContains(t, err, "it asserts nothing")
}
