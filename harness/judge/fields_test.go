package judge

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// TestCompare_ComparesEveryField sets each field of an expectation that holds to something wrong. A field that nothing
// compares would let the verdict hold.
func TestCompare_ComparesEveryField(t *testing.T) {
	t.Parallel()
	for _, entry := range []struct {
		in    string
		field func(*harness.Expectation) reflect.Value // a struct in the expectation
	}{
		{"runs", func(e *harness.Expectation) reflect.Value { return reflect.ValueOf(&e.Runs[0]).Elem() }},
		{"steps", func(e *harness.Expectation) reflect.Value { return reflect.ValueOf(&e.Runs[0].Steps[0]).Elem() }},
		{"mail", func(e *harness.Expectation) reflect.Value { return reflect.ValueOf(&e.Mail[0]).Elem() }},
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
				v, err := Judge(wrong, good(func(t *harness.Trace) { t.Mail[0].HTML = `<p>Thank you</p><img src="cid:logo">` }), Options{})
				require.NoError(t, err)
				require.Equal(t, harness.Broken, v.Outcome, "%s", v)
			})
		}
	}
}

// wrongValue returns a valid value for a field that the trace of good does not have.
func wrongValue(t *testing.T, name string, field reflect.Value) any {
	t.Helper()
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
	case map[string]string:
		return map[string]string{"X-Order": "wrong"}
	case []harness.StepExpectation:
		return []harness.StepExpectation{{ID: "wrong"}}
	case []harness.Check:
		return []harness.Check{harness.CheckAlt} // the image has no alt attribute
	default:
		require.FailNow(t, "a new kind of field", fmt.Sprintf("%s %s: say here what a wrong value is", name, field.Type()))
		return nil
	}
}
