package judge

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// TestCompare_ComparesEveryField sets each field of an expectation that holds to something wrong. A field that nothing
// compares would let the verdict hold.
func TestCompare_ComparesEveryField(t *testing.T) {
	t.Parallel()
	tr := good(func(t *harness.Trace) {
		m := t.Mail[0].Message
		m.HTML, m.MessageID, m.Problems = `<p>Thank you</p><img src="cid:logo">`, "", []string{"there is no Date header"}
		m.Inlines = append(m.Inlines, harness.Part{Name: "logo.png", ContentType: "image/png"})
	})
	v, err := Judge(confirmed(nil), tr, Options{})
	require.NoError(t, err)
	require.NoError(t, v.Err())
	for _, entry := range []struct {
		in    string
		field func(*harness.Expectation) reflect.Value // a struct in the expectation
	}{
		{"runs", func(e *harness.Expectation) reflect.Value { return reflect.ValueOf(&e.Runs[0]).Elem() }},
		{"steps", func(e *harness.Expectation) reflect.Value { return reflect.ValueOf(&e.Runs[0].Steps[0]).Elem() }},
		{"mail", func(e *harness.Expectation) reflect.Value { return reflect.ValueOf(&e.Mail[0]).Elem() }},
		{"files", func(e *harness.Expectation) reflect.Value { return reflect.ValueOf(&e.Mail[0].Attachments[0]).Elem() }},
	} {
		e := confirmed(nil)
		for i := range entry.field(&e).NumField() {
			name := entry.field(&e).Type().Field(i).Name
			t.Run(entry.in+" "+name, func(t *testing.T) {
				t.Parallel()
				wrong := confirmed(nil)
				entry.field(&wrong).Field(i).Set(reflect.ValueOf(wrongValue(t, name, entry.field(&wrong).Field(i))))
				if name == "Absent" { // it excludes the other fields
					wrong.Mail[0] = harness.MailExpectation{To: wrong.Mail[0].To, Absent: true}
				}
				v, err := Judge(wrong, tr, Options{})
				require.NoError(t, err)
				require.Equal(t, harness.Broken, v.Outcome, "%s", v)
			})
		}
	}
}

// wrongValue returns a valid value for a field that the trace of good does not have.
func wrongValue(t *testing.T, name string, field reflect.Value) any {
	t.Helper()
	switch name {
	case "Problems":
		return harness.NoProblems
	case "SHA256":
		return strings.Repeat("0", 64)
	}
	switch field.Interface().(type) {
	case harness.Status:
		return harness.StatusFailed
	case string:
		return "wrong"
	case bool:
		return true
	case int:
		return 7
	case json.RawMessage:
		return json.RawMessage(`"wrong"`)
	case []string:
		return []string{"wrong"}
	case harness.Match:
		return harness.Equals("wrong")
	case harness.Texts:
		return harness.Texts{"wrong@shop.test"}
	case map[string]harness.Match:
		return map[string]harness.Match{"X-Order": harness.Equals("wrong")}
	case []harness.FileExpectation:
		return []harness.FileExpectation{{Type: "wrong"}}
	case []harness.StepExpectation:
		return []harness.StepExpectation{{ID: "wrong"}}
	case []harness.Check:
		return []harness.Check{harness.CheckAlt} // the image has no alt attribute
	default:
		require.FailNow(t, "a new kind of field", fmt.Sprintf("%s %s: say here what a wrong value is", name, field.Type()))
		return nil
	}
}
