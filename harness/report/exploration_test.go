package report_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

// explored is an exploration with one of everything. say makes something of each text that comes from the app.
func explored(say func(string) string) *report.Exploration {
	v := record(1, failed).Verdicts[0]
	holds := record(2, nil).Verdicts[0]
	v.Why = say(v.Why)
	violation := report.ExploredViolation{Rule: "expectation", Says: say("technician 66f has no email address"), Finding: 1}
	return &report.Exploration{
		Summary: say("explored 5 schedules (all 4 single faults; 1 of 9 pairs) in 1.2s, 3 violations of 2 kinds"), Target: say("in process"), Seed: 7,
		Hops:   []string{say("before call 1 of shop-notify"), say("after call 1 of shop-notify")},
		Kinds:  []report.ExploredKind{{Name: "refuse", Says: "It is refused."}, {Name: "lose-answer", Says: "Its answer is lost."}, {Name: "send", Says: "Another event comes."}},
		Counts: []report.ExploredCount{{Name: "single faults", Possible: 4}, {Name: "pairs", Possible: 9}},
		Schedules: []report.ExploredSchedule{
			{Story: say("call 1 was refused"), Faults: 1, Why: say("1 run, 1 email"), Took: time.Second},
			{Story: say("event 2 came"), Faults: 1, Kind: 2, NotRun: say("it never happened that event 2 came"), Took: time.Second},
			{Story: say("event 3 came"), Faults: 1, Kind: 2, Why: say("1 run, 1 email"), Took: time.Second},
			{Story: say("the answer was lost"), Faults: 1, Hop: 1, Kind: 1, Violations: []report.ExploredViolation{violation}, Why: say("no address"), Took: time.Second},
			{Story: say("call 1 was refused; then the answer was lost"), Faults: 2, Violations: []report.ExploredViolation{violation, {Rule: "copies", Says: say("twice"), Finding: 2}}, Took: time.Second},
			{Story: say("call 1 was refused; then event 2 came"), Faults: 2, Why: say("1 run, 1 email"), Took: time.Second},
		},
		Findings: []report.ExploredFinding{
			{Rule: "expectation", Says: say("technician 66f has no email address"), Story: say("the answer was lost"), Schedules: 2, Unsure: say("it did not show again"), Verdict: v},
			{Rule: "copies", Says: say("the email arrived twice"), Story: say("call 1 was refused; then the answer was lost"), Schedules: 1, Verdict: holds},
		},
		NotExplored: []string{say("the app's death")},
	}
}

func asIs(s string) string { return s }

func renderExploration(t *testing.T, x *report.Exploration) *html.Node {
	t.Helper()
	var out strings.Builder
	require.NoError(t, x.WriteHTML(&out))
	require.True(t, strings.HasPrefix(out.String(), "<!DOCTYPE html>"))
	doc, err := html.Parse(strings.NewReader(out.String()))
	require.NoError(t, err)
	requireHarmless(t, doc)
	return doc
}

func TestExploration_LinksLeadToPlacesOnThePage(t *testing.T) {
	t.Parallel()
	doc := renderExploration(t, explored(asIs))
	ids := map[string]bool{}
	for _, n := range all(doc, func(n *html.Node) bool { return attr(n, "id") != "" }) {
		require.False(t, ids[attr(n, "id")], "the id %s stands twice", attr(n, "id"))
		ids[attr(n, "id")] = true
	}
	for _, a := range byTag(doc, "a") {
		require.True(t, ids[strings.TrimPrefix(attr(a, "href"), "#")], "the link %s leads to a place on the page", attr(a, "href"))
	}
}

func TestExploration_TableOfHopsAndFaults(t *testing.T) {
	t.Parallel()
	doc := renderExploration(t, explored(asIs))
	var rows []string
	for _, tr := range byTag(byID(t, doc, "faults"), "tr") {
		var cells []string
		for _, c := range all(tr, func(n *html.Node) bool { return n.Data == "td" || n.Data == "th" }) {
			says := textOf(c)
			for _, a := range byTag(c, "a") {
				says += " " + strings.TrimPrefix(attr(a, "class"), "cell ") + attr(a, "href")
			}
			cells = append(cells, says)
		}
		rows = append(rows, strings.Join(cells, " | "))
	}
	require.Equal(t, []string{
		"Hop | refuse | lose-answer | send",
		"before call 1 of shop-notify | held: call 1 was refused ok#s1 | cannot happen | not run: event 2 came held: event 3 came open#s2 ok#s3",
		"after call 1 of shop-notify | cannot happen | violated: the answer was lost bad#s4 | cannot happen",
	}, rows)
	require.Equal(t, "violated the answer was lost expectation technician 66f has no email address finding 1", textOf(byID(t, doc, "s4")))
	require.Equal(t, "not run event 2 came it never happened that event 2 came", textOf(byID(t, doc, "s2")))
	require.Equal(t, "held call 1 was refused 1 run, 1 email", textOf(byID(t, doc, "s1")))
}

func TestExploration_ThatEndedBeforeAllSingleFaultsWereTried(t *testing.T) {
	t.Parallel()
	x := explored(asIs)
	require.NotContains(t, textOf(byID(t, renderExploration(t, x), "faults")), "not tried")
	x.Counts[0].Possible++
	faults := textOf(byID(t, renderExploration(t, x), "faults"))
	require.Contains(t, faults, "empty where it cannot happen, or was not tried.")
	require.Contains(t, faults, "held: call 1 was refused cannot happen, or was not tried not run")
}

func TestExploration_FindingsWithTheirVerdicts(t *testing.T) {
	t.Parallel()
	doc := renderExploration(t, explored(asIs))
	require.Equal(t, "2 kinds of violations", textOf(byTag(doc, "h1")[0]))
	require.Equal(t, "findings", attr(byTag(doc, "section")[0], "id"))
	first, second := byID(t, doc, "f1"), byID(t, doc, "f2")
	require.Regexp(t, `^technician 66f has no email address expectation 2 schedules show it, none of them shorter When the answer was lost not certain: it did not show again broken press/leaks`, textOf(first))
	require.Contains(t, textOf(byClass(first, "first")[0]), "step look-up FAILED first broken hop")
	require.Regexp(t, `^the email arrived twice copies one schedule shows it When call 1 was refused; then the answer was lost The expectation holds of what happened; this rule is judged apart from it\. holds`, textOf(second))
	require.NotContains(t, textOf(first), "is judged apart")
}

func TestExploration_CountsAndWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	doc := renderExploration(t, explored(asIs))
	require.Contains(t, textOf(byID(t, doc, "counts")), "single faults 4 3 2 1 1 pairs 9 2 1 1 0")
	require.Equal(t, "Not explored the app's death", textOf(byID(t, doc, "left")))
	others := textOf(byID(t, doc, "others"))
	require.Contains(t, others, "violated call 1 was refused; then the answer was lost")
	require.NotContains(t, others, "then event 2 came", "what held is only counted")
}

func TestExploration_WithoutAFinding(t *testing.T) {
	t.Parallel()
	doc := renderExploration(t, &report.Exploration{Summary: "explored nothing"})
	require.Equal(t, "No violation", textOf(byTag(doc, "h1")[0]))
	require.Len(t, byTag(doc, "section"), 1, "nothing is shown that is not there")
}

func TestExploration_StaysSmall(t *testing.T) {
	t.Parallel()
	x := explored(asIs)
	for i := range 300 {
		x.Schedules = append(x.Schedules, report.ExploredSchedule{Story: fmt.Sprintf("the answer to call %d of planted-book-seat was lost", i), Faults: 1, Why: "1 run, 1 email"})
	}
	var out counter
	require.NoError(t, x.WriteHTML(&out))
	require.Less(t, int(out), 250<<10)
}

func TestExploration_RunsAndLoadsNothingHostile(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := renderExploration(t, explored(func(string) string { return attack }))
			require.Len(t, byTag(doc, "section"), 6, "the page keeps its shape")
			require.Len(t, byClass(doc, "schedule"), 5)
		})
	}
}

func TestExploration_JUnit(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, explored(asIs).WriteJUnit(&out))
	var got struct {
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Time     string `xml:"time,attr"`
		Suites   []struct {
			Name      string  `xml:"name,attr"`
			Timestamp *string `xml:"timestamp,attr"`
			Failures  int     `xml:"failures,attr"`
			Cases     []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Type    string `xml:"type,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
				Skipped *struct {
					Message string `xml:"message,attr"`
				} `xml:"skipped"`
				Out string `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal([]byte(out.String()), &got))
	require.Equal(t, []int{6, 2, 1}, []int{got.Tests, got.Failures, got.Skipped})
	require.Equal(t, "6.000", got.Time)
	require.Len(t, got.Suites, 2)
	singles, pairs := got.Suites[0], got.Suites[1]
	require.Equal(t, []string{"single faults", "pairs"}, []string{singles.Name, pairs.Name})
	require.Nil(t, singles.Timestamp, "it is not known when it began")
	require.Equal(t, "call 1 was refused", singles.Cases[0].Name)
	require.Equal(t, "1 run, 1 email", singles.Cases[0].Out)
	require.Nil(t, singles.Cases[0].Failure)
	require.Equal(t, "it never happened that event 2 came", singles.Cases[1].Skipped.Message)
	require.Equal(t, "technician 66f has no email address", singles.Cases[3].Failure.Message)
	require.Equal(t, "expectation", singles.Cases[3].Failure.Type)
	require.Contains(t, singles.Cases[3].Failure.Text, "✗ step look-up FAILED", "the schedule of a finding has its verdict")
	require.Contains(t, pairs.Cases[0].Failure.Text, "technician 66f has no email address\n\ntwice\n\nholds:", "a finding's verdict stands where it was found")
	require.NotContains(t, pairs.Cases[0].Failure.Text, "✗ step look-up FAILED", "it stands elsewhere")
}

func TestExploration_JUnitIsWellFormed(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			require.NoError(t, explored(func(string) string { return attack }).WriteJUnit(&out))
			d := xml.NewDecoder(strings.NewReader(out.String()))
			cases := 0
			for {
				token, err := d.Token()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				if e, ok := token.(xml.StartElement); ok && e.Name.Local == "testcase" {
					cases++
				}
			}
			require.Equal(t, 6, cases)
		})
	}
}
