package harness

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

func TestChecksOfAnEmail(t *testing.T) {
	t.Parallel()
	e := Expectation{Mail: []MailExpectation{{To: "kim@shop.test", Checks: []mailcheck.Check{mailcheck.Every}}}}
	require.NoError(t, e.Validate())
	links := func(tr *Trace) {
		tr.Mail[0].HTML = `<p>Thank you.</p> <a href="/orders/7">It costs 12</a> <a href="http://127.0.0.1:1/">order</a>`
	}
	o := JudgeOptions{Resolve: func(url string) error {
		if url == "http://127.0.0.1:1/" {
			return errors.New("the answer is 404 Not Found")
		}
		return errors.New("only absolute links are asked for")
	}}

	require.Empty(t, check(e, good(nil), o).findings)
	v := check(e, good(links), o).verdict(Broken, 0)
	require.Equal(t, []string{
		`email to kim@shop.test: check links: the link "/orders/7" is not absolute: an email has no address that it could be relative to`,
		`email to kim@shop.test: check resolve: the link "http://127.0.0.1:1/" leads nowhere: the answer is 404 Not Found`,
	}, v.Findings)
	require.Equal(t, v.Findings[0], v.Why)

	e.Mail[0].Checks = []mailcheck.Check{mailcheck.Size}
	require.Empty(t, check(e, good(links), o).findings, "what is not asked for asserts nothing")
}

func TestARecordedTraceIsJudgedWithoutAStack(t *testing.T) {
	t.Parallel()
	v, err := confirmed(nil).Check(good(nil), JudgeOptions{})
	require.NoError(t, err)
	require.NoError(t, v.Err())

	v, err = confirmed(nil).Check(good(func(tr *Trace) { tr.Mail = nil; tr.Quiet, tr.Unquiet = false, "it was taken too early" }), JudgeOptions{})
	require.NoError(t, err)
	require.Equal(t, Broken, v.Outcome)
	require.NotContains(t, v.Why, "within", "nobody has waited")

	_, err = Expectation{}.Check(good(nil), JudgeOptions{})
	require.ErrorContains(t, err, "it asserts nothing")
}
