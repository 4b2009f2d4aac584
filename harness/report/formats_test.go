package report_test

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/report"
)

func TestWriteJUnit_OneSuitePerPackage(t *testing.T) {
	t.Parallel()
	rep := &report.Report{Records: []report.Record{
		record(1, changed), record(2, failed),
		record(3, func(r *report.Record) { r.Outcome, r.Verdicts, r.Package = report.Skipped, nil, "example.test/other" }),
		record(4, func(r *report.Record) {
			r.Outcome, r.Package, r.Began = report.Failed, "example.test/other", noon.Add(-time.Minute)
		}),
	}}
	var out strings.Builder
	require.NoError(t, rep.WriteJUnit(&out))
	require.True(t, strings.HasPrefix(out.String(), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "))
	var got struct {
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Time     string `xml:"time,attr"`
		Suites   []struct {
			Name      string `xml:"name,attr"`
			Timestamp string `xml:"timestamp,attr"`
			Cases     []struct {
				Name    string `xml:"name,attr"`
				Class   string `xml:"classname,attr"`
				Time    string `xml:"time,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
				Skipped *struct{} `xml:"skipped"`
				Out     string    `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal([]byte(out.String()), &got))
	require.Equal(t, []int{4, 2, 1}, []int{got.Tests, got.Failures, got.Skipped})
	require.Equal(t, "4.936", got.Time)
	require.Len(t, got.Suites, 2)
	shop, other := got.Suites[0], got.Suites[1]
	require.Equal(t, "example.test/shop", shop.Name)
	require.Equal(t, "2026-11-23T11:59:00", other.Timestamp, "when its first test began")
	require.Equal(t, "TestPress001/local", shop.Cases[0].Name)
	require.Equal(t, "example.test/shop", shop.Cases[0].Class)
	require.Equal(t, "1.234", shop.Cases[0].Time)
	require.Nil(t, shop.Cases[0].Failure)
	require.Equal(t, "email to kim1@plant.test: Press 1 leaks (changed)", shop.Cases[0].Out)
	require.Equal(t, "technician 66f has no email address", shop.Cases[1].Failure.Message, "the first broken hop")
	require.Contains(t, shop.Cases[1].Failure.Text, "✗ step look-up FAILED")
	require.Equal(t, "evidence: /src/.harness/evidence/TestPress", shop.Cases[1].Out)
	require.NotNil(t, other.Cases[0].Skipped)
	require.Equal(t, "it failed outside its verdicts: see the output of the tests", other.Cases[1].Failure.Message)
}

func TestWriteMarkdown_Summarises(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, sample().WriteMarkdown(&out))
	require.Equal(t, "## ❌ 1 of 6 tests failed, 1 email changed, 1 promise not kept\n"+`
4 passed, 1 failed, 1 skipped · 4 emails: 1 changed, 1 new, 1 unchanged · 2 of 3 promises kept under faults · on local.

### Failed

<details><summary>TestPress002 <i>local</i><br>technician 66f has no email address</summary>

`+"```text"+`
expectation broken: step look-up failed
  ✗ step look-up FAILED
`+"```"+`

</details>

### Changed emails

<details><summary>press: Press 1 leaks</summary>

`+"```diff"+`
@@ -1,3 +1,3 @@
 Hello Kim,
-the press 1 is fine.
+the press 1 leaks.
 Open the request
`+"```"+`

</details>

### Promises not kept (local)

| fault | promised | happened |
|---|---|---|
| 550 | failed | sent |

### Measurements

| what | median | 95 % interval | n | |
|---|---:|---|---:|---|
| event to email | 131 ms | 122 ms – 165 ms | 300 | floor 120 ms |
| tap | 90 µs | 85 µs – 95 µs | 300 |  |

The whole report, with every email rendered, is report.html.
`, out.String())
}

func TestWriteMarkdown_FitsAComment(t *testing.T) {
	t.Parallel()
	rep := &report.Report{}
	for i := range 200 {
		rep.Records = append(rep.Records, record(i, func(r *report.Record) {
			r.Verdicts[0].Trace.Mail[0].Text = strings.Repeat("a line of text that is there\nleaks\n", 200)
			changed(r)
			if i%2 == 0 {
				r.Outcome, r.Failures = report.Failed, []string{strings.Repeat("a long message ", 1000)}
			}
		}))
	}
	var out strings.Builder
	require.NoError(t, rep.WriteMarkdown(&out))
	require.Less(t, out.Len(), 65_000)
	require.Regexp(t, `(?s)### Failed.*… and 9\d more: see.*### Changed emails.*… and 1\d\d more: see`, out.String())
}
