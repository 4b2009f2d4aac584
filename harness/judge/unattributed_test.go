package judge

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestFinal_CannotBeJudgedWhereWhatIsMissingMayBeUnattributed(t *testing.T) {
	t.Parallel()
	bill := []harness.TraceFunction{{ID: "bill", App: "shop"}}
	event := []harness.UnattributedEvent{{EventID: "01OTHER", Name: "order/paid"}}
	toLee := []harness.MailSummary{{To: []string{"lee@shop.test"}}}
	runs := func(functions ...string) (e harness.Expectation) {
		for _, f := range functions {
			e.Runs = append(e.Runs, harness.RunExpectation{Function: f})
		}
		return e
	}
	mail := func(m harness.MailExpectation) harness.Expectation {
		return harness.Expectation{Mail: []harness.MailExpectation{m}}
	}
	lee := harness.MailExpectation{To: "lee@shop.test"}
	failed := harness.Expectation{Runs: []harness.RunExpectation{{Function: "confirm", Status: harness.StatusFailed}}}
	alone := failed
	alone.NoOtherRuns = true
	for _, c := range []struct {
		name      string
		e         harness.Expectation
		functions []harness.TraceFunction
		other     []harness.MailSummary
		want      harness.Outcome
	}{
		{"a run of a function that the event started", runs("confirm", "bill"), bill, nil, harness.CannotBeJudged},
		{"named with its app", runs("shop-bill"), bill, nil, harness.CannotBeJudged},
		{"a run of another function", runs("ship"), bill, nil, harness.Broken},
		{"both", runs("bill", "ship"), bill, nil, harness.Broken},
		{"the event started nothing", runs("bill"), nil, nil, harness.Broken},
		{"another run of a function", failed, []harness.TraceFunction{{ID: "confirm", App: "shop"}}, nil, harness.CannotBeJudged},
		{"another run of a function, and no run beside", alone, []harness.TraceFunction{{ID: "confirm", App: "shop"}}, nil,
			harness.Broken},
		{"an email that another run sent", mail(lee), bill, toLee, harness.CannotBeJudged},
		{"an email that no run sent", mail(lee), bill, nil, harness.Broken},
		{"an email that another run sent, but no event is unattributed", mail(lee), nil, toLee, harness.Broken},
		{"a further copy", mail(harness.MailExpectation{To: "kim@shop.test", Copies: 2}), bill,
			[]harness.MailSummary{{To: []string{"kim@shop.test"}}}, harness.CannotBeJudged},
		{"more is there than expected", mail(harness.MailExpectation{To: "kim@shop.test", Absent: true}), bill, toLee,
			harness.Broken},
	} {
		trace := good(func(t *harness.Trace) {
			t.UnattributedEvents, t.UnattributedFunctions, t.OtherMail, t.OtherMailCount = event, c.functions, c.other, len(c.other)
		})
		v := Compare(c.e, trace, Options{}).Final(time.Second, 0)
		require.Equal(t, c.want, v.Outcome, "%s: %s", c.name, v)
		if c.want == harness.CannotBeJudged {
			require.Contains(t, v.Why, ", as far as can be known, but the app sent the event order/paid (01OTHER) while a run was "+
				"being called", c.name)
			require.NotContains(t, v.String(), "✗", c.name)
		}
	}
	shared := good(func(t *harness.Trace) { t.UnattributedFunctions = bill })
	v := Compare(runs("bill"), shared, Options{}).Final(time.Second, 0)
	require.Equal(t, "there is no run of bill, only of confirm, as far as can be known, but the app sent an event that "+
		"starts bill "+
		"outside its steps while a run was being called, and on a shared stack it cannot be attributed to a run: "+
		"send it through a step, or use a stack of your own", v.Why)
}
