package harness

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseExpectation(t *testing.T) {
	t.Parallel()
	e, err := ParseExpectation([]byte(`{
		"runs":[{"function":"send-request-notification","status":"COMPLETED","output":{"a":1,"A":{"To":[{"a":2}]}},"error":"no",
		         "steps":[{"id":"send-email","status":"COMPLETED","attempts":1,"output":null,"error":"no"}]}],
		"mail":[{"to":"kim@plant.test","from":"a@b.test","subject":"s","text":["t"],"html":["h"],"headers":{"X":"y"},"golden":"g","copies":1,"checks":["text","all"]},
		        {"to":"lee@plant.test","absent":true}],
		"noOtherRuns":true,"noOtherMail":true}`))
	require.NoError(t, err)
	require.Equal(t, 1, e.Runs[0].Steps[0].Attempts)
	require.True(t, e.Mail[1].Absent)
	require.True(t, e.NoOtherRuns && e.NoOtherMail)
}

func TestParseExpectation_Invalid(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ json, want string }{
		"asserts nothing":    {`{}`, "it asserts nothing, so it would hold whatever happened"},
		"unknown field":      {`{"runz":[]}`, `unknown field "runz"`},
		"unknown inner":      {`{"mail":[{"to":"a@b","copy":1}]}`, `unknown field "copy"`},
		"more behind":        {`{"noOtherMail":true} {}`, "there is more behind the JSON value"},
		"key twice":          {`{"mail":[{"to":"a@b"}],"mail":[{"to":"c@d"}]}`, "expectation: mail occurs twice: give it once"},
		"inner key twice":    {`{"mail":[{"to":"a@b"},{"to":"a@b","to":"c@d"}]}`, "expectation: mail[1].to occurs twice"},
		"header twice":       {`{"mail":[{"to":"a@b","headers":{"X":"1","X":"2"}}]}`, "expectation: mail[0].headers.X occurs twice"},
		"step key twice":     {`{"runs":[{"function":"f","steps":[{"id":"a","id":"b"}]}]}`, "expectation: runs[0].steps[0].id occurs twice"},
		"output key twice":   {`{"runs":[{"function":"f","output":[{"a":1,"a":2}]}]}`, "expectation: runs[0].output[0].a occurs twice"},
		"another case":       {`{"NOOTHERMAIL":true}`, `expectation: unknown field "NOOTHERMAIL": it is spelt "noOtherMail"`},
		"another inner case": {`{"mail":[{"To":"a@b"}]}`, `expectation: unknown field "mail[0].To": it is spelt "to"`},
		"both cases":         {`{"noOtherMail":true,"noothermail":false}`, `unknown field "noothermail": it is spelt "noOtherMail"`},
		"no JSON":            {`noOtherMail`, "expectation:"},
		"no function":        {`{"runs":[{"status":"FAILED"}]}`, "runs[0] names no function"},
		"unknown status":     {`{"runs":[{"function":"f","status":"DONE"}]}`, `there is no status "DONE": it is one of QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED`},
		"no step":            {`{"runs":[{"function":"f","steps":[{}]}]}`, "runs[0].steps[0] names no step id"},
		"negative attempts":  {`{"runs":[{"function":"f","steps":[{"id":"a","attempts":-1}]}]}`, "attempts is -1"},
		"no recipient":       {`{"mail":[{"subject":"s"}]}`, "mail[0] names no recipient"},
		"negative copies":    {`{"mail":[{"to":"a@b","copies":-1}]}`, "copies is -1"},
		"absent and more":    {`{"mail":[{"to":"a@b","absent":true,"subject":"s"}]}`, "it cannot have any other field but to"},
		"empty piece":        {`{"mail":[{"to":"a@b","text":[""]}]}`, "an empty piece of text, which every email contains"},
		"unknown check":      {`{"mail":[{"to":"a@b","checks":["txt"]}]}`, `mail[0]: there is no check "txt": it is one of text, links, resolve, alt, size, external, or all for all of them`},
		"absent and checked": {`{"mail":[{"to":"a@b","absent":true,"checks":["all"]}]}`, "it cannot have any other field but to"},
		"several at a time":  {`{"mail":[{"copies":-1}]}`, "mail[0] names no recipient\nexpectation: mail[0]: copies is -1"},
		"lower case statues": {`{"runs":[{"function":"f","status":"completed"}]}`, `there is no status "completed"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseExpectation([]byte(test.json))
			require.ErrorContains(t, err, test.want)
		})
	}
}
