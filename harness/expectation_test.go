package harness_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestParseExpectation(t *testing.T) {
	t.Parallel()
	e, err := harness.ParseExpectation([]byte(`{
		"runs":[{"function":"send-request-notification","status":"COMPLETED","output":{"a":1,"A":{"To":[{"a":2}]}},"error":"no",
		         "steps":[{"id":"send-email","status":"COMPLETED","attempts":1,"output":null,"error":"no"}]}],
		"mail":[{"to":"kim@plant.test","from":"a@b.test","subject":"s","text":["t"],"html":["h"],"headers":{"X":"y"},"golden":"g","copies":1,"checks":["text","all"],
		         "envelopeFrom":{"equals":""},"cc":["lee@plant.test"],"bcc":"boss@plant.test","replyTo":["a@b.test"],
		         "attachments":[{"name":"a.pdf","type":"application/pdf","size":3,"sha256":"0000000000000000000000000000000000000000000000000000000000000000","text":{"matches":"^a$"}}],
		         "inlines":[{}],"noOtherFiles":true,"calendar":"REQUEST","sameMessageId":true,"problems":"none"},
		        {"to":"lee@plant.test","absent":true}],
		"noOtherRuns":true,"noOtherMail":true}`))
	require.NoError(t, err)
	require.Equal(t, 1, e.Runs[0].Steps[0].Attempts)
	require.True(t, e.Mail[1].Absent)
	require.True(t, e.NoOtherRuns && e.NoOtherMail)
	m := e.Mail[0]
	require.Equal(t, harness.Texts{"boss@plant.test"}, m.Bcc)
	require.Equal(t, harness.Equals("s"), m.Subject)
	require.Equal(t, harness.Contains("t"), m.Text)
	require.Equal(t, map[string]harness.Match{"X": harness.Equals("y")}, m.Headers)
	require.Equal(t, harness.Equals(""), m.EnvelopeFrom)
	require.Equal(t, harness.Matches("^a$"), m.Attachments[0].Text)
	require.Equal(t, 22, m.Assertions())
	require.Equal(t, []string{"kim@plant.test", "lee@plant.test", "boss@plant.test", "lee@plant.test"}, e.Recipients())

	// It is read back from its own JSON.
	data, err := json.Marshal(e)
	require.NoError(t, err)
	back, err := harness.ParseExpectation(data)
	require.NoError(t, err, "%s", data)
	require.Equal(t, m, back.Mail[0])
}

func TestParseExpectation_Match(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]harness.Match{
		`"a"`:                    harness.Equals("a"),
		`""`:                     harness.Equals(""),
		`["a","b"]`:              harness.Contains("a", "b"),
		`{"equals":"a"}`:         harness.Equals("a"),
		`{"contains":"a"}`:       harness.Contains("a"),
		`{"contains":["a","b"]}`: harness.Contains("a", "b"),
		`{"matches":"^a+$"}`:     harness.Matches("^a+$"),
		`{"present":true}`:       harness.Present(),
		`{"absent":true}`:        harness.Absent(),
		`{"contains":["a"],"matches":"b","present":true}`: {Contains: harness.Texts{"a"}, Matches: "b", Present: true},
	} {
		for _, field := range []string{"subject", "text", "html", "envelopeFrom"} {
			e, err := harness.ParseExpectation([]byte(`{"mail":[{"to":"a@b","` + field + `":` + text + `}]}`))
			require.NoError(t, err, text)
			m := e.Mail[0]
			got := map[string]harness.Match{"subject": m.Subject, "text": m.Text, "html": m.HTML, "envelopeFrom": m.EnvelopeFrom}[field]
			require.Equal(t, want, got)
		}
	}
}

func TestExpectation_Denies(t *testing.T) {
	t.Parallel()
	for _, m := range []harness.MailExpectation{{Absent: true}, {Copies: 1}, {SameMessageID: true}} {
		require.True(t, harness.Expectation{Mail: []harness.MailExpectation{m}}.Denies())
	}
	require.False(t, harness.Expectation{Mail: []harness.MailExpectation{{To: "a@b", Subject: harness.Absent()}}}.Denies())
}

func TestParseExpectation_Invalid(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ json, want string }{
		"asserts nothing":    {`{}`, "it asserts nothing, so it would hold whatever happened"},
		"unknown field":      {`{"runz":[]}`, `unknown field "runz"`},
		"unknown inner":      {`{"mail":[{"to":"a@b","copy":1}]}`, `expectation: unknown field "mail[0].copy": did you mean "copies"? the fields there are to, absent, from,`},
		"of another level":   {`{"attachments":[]}`, `unknown field "attachments": the fields there are runs, mail, noOtherRuns, noOtherMail`},
		"unknown in a file":  {`{"mail":[{"to":"a@b","attachments":[{"names":"a"}]}]}`, `unknown field "mail[0].attachments[0].names": did you mean "name"? the fields there are name, type, size, sha256, text`},
		"unknown in a match": {`{"mail":[{"to":"a@b","headers":{"X":{"match":"a"}}}]}`, `unknown field "mail[0].headers.X.match": did you mean "matches"? the fields there are equals, contains, matches, present, absent`},
		"unknown in a run":   {`{"runs":[{"fn":"f"}]}`, `unknown field "runs[0].fn": the fields there are function, status, output, error, steps`},
		"unknown in a step":  {`{"runs":[{"function":"f","steps":[{"attempt":1}]}]}`, `did you mean "attempts"?`},
		"empty match":        {`{"mail":[{"to":"a@b","subject":{}}]}`, "an object that asserts nothing: say equals, contains, matches, present or absent"},
		"empty header":       {`{"mail":[{"to":"a@b","headers":{"X":[]}}]}`, "mail[0].headers.X is an empty list, which asserts nothing: leave it out; that there are none is said by noOtherRuns"},
		"no copies":          {`{"mail":[{"to":"a@b","copies":0}]}`, "mail[0].copies is 0, which asserts nothing: leave it out, or give 1 or more"},
		"no attempts":        {`{"runs":[{"function":"f","steps":[{"id":"s","attempts":0}]}]}`, "runs[0].steps[0].attempts is 0, which asserts nothing"},
		"no files":           {`{"mail":[{"to":"a@b","attachments":[]}]}`, "mail[0].attachments is an empty list, which asserts nothing"},
		"no mail":            {`{"runs":[{"function":"f"}],"mail":[]}`, "expectation: mail is an empty list, which asserts nothing"},
		"no parts":           {`{"mail":[{"to":"a@b","subject":[]}]}`, "mail[0].subject is an empty list, which asserts nothing"},
		"null text":          {`{"mail":[{"to":"a@b","subject":null}]}`, "mail[0].subject is null, which asserts nothing: leave it out"},
		"null switch":        {`{"mail":[{"to":"a@b"}],"noOtherMail":null}`, "noOtherMail is null, which asserts nothing"},
		"named recipient":    {`{"mail":[{"to":"Kim <a@b>","absent":true}]}`, `mail[0]: "Kim <a@b>" is not one address alone: give it without a name and without < and >`},
		"several recipients": {`{"mail":[{"to":"a@b, c@d","absent":true}]}`, `mail[0]: "a@b, c@d" is not one address alone`},
		"named sender":       {`{"mail":[{"to":"a@b","from":"Shop <c@d>","cc":["<e@f>"]}]}`, `mail[0]: "Shop <c@d>" is not one address alone`},
		"absent and equal":   {`{"mail":[{"to":"a@b","subject":{"absent":true,"equals":"a"}}]}`, "mail[0].subject: absent excludes everything else"},
		"no expression":      {`{"mail":[{"to":"a@b","html":{"matches":"("}}]}`, "mail[0].html: matches is no regular expression"},
		"file's expression":  {`{"mail":[{"to":"a@b","inlines":[{"name":{"matches":"("}}]}]}`, "mail[0].inlines[0].name: matches is no regular expression"},
		"no hash":            {`{"mail":[{"to":"a@b","attachments":[{"sha256":"abc"}]}]}`, "mail[0].attachments[0]: sha256 is not the hexadecimal form of a hash"},
		"negative size":      {`{"mail":[{"to":"a@b","attachments":[{"size":-1}]}]}`, "mail[0].attachments[0]: size is -1"},
		"empty address":      {`{"mail":[{"to":"a@b","cc":[""]}]}`, "mail[0].cc[0] is empty, which asserts nothing: give a text, or leave it out"},
		"some problems":      {`{"mail":[{"to":"a@b","problems":"some"}]}`, `mail[0]: problems is "some": it can only be "none"`},
		"absent and files":   {`{"mail":[{"to":"a@b","absent":true,"attachments":[{}]}]}`, "it cannot have any other field but to"},
		"wrong type":         {`{"mail":[{"to":"a@b","subject":7}]}`, "mail[0].subject is number, want a text; `harness schema expectation`"},
		"list for a text":    {`{"mail":[{"to":["a@b"]}]}`, "mail[0].to is array, want a text"},
		"text for a list":    {`{"mail":[{"to":"a@b","checks":"all"}]}`, "mail[0].checks is string, want a list of texts"},
		"object for a list":  {`{"mail":{"to":"a@b"}}`, "mail is object, want a list of objects"},
		"text for an object": {`{"runs":["f"]}`, "runs[0] is string, want an object"},
		"number for switch":  {`{"noOtherRuns":1}`, "noOtherRuns is number, want true or false"},
		"text for a number":  {`{"mail":[{"to":"a@b","copies":"1"}]}`, "mail[0].copies is string, want a whole number such as 1"},
		"list as a whole":    {`[{"noOtherRuns":true}]`, "the whole is array, want an object"},
		"empty error":        {`{"runs":[{"function":"f","error":""}]}`, "runs[0].error is empty, which asserts nothing: give a text, or leave it out"},
		"empty status":       {`{"runs":[{"function":"f","status":""}]}`, "runs[0].status is empty, which asserts nothing"},
		"empty sender":       {`{"mail":[{"to":"a@b","from":""}]}`, "mail[0].from is empty, which asserts nothing"},
		"empty file type":    {`{"mail":[{"to":"a@b","attachments":[{"type":""}]}]}`, "mail[0].attachments[0].type is empty"},
		"no headers":         {`{"mail":[{"to":"a@b","headers":{}}]}`, "mail[0].headers is an empty object, which asserts nothing"},
		"header with colon":  {`{"mail":[{"to":"a@b","headers":{"X-Debug:":{"absent":true}}}]}`, `mail[0].headers: "X-Debug:" is no name of a header`},
		"header with blank":  {`{"mail":[{"to":"a@b","headers":{"X-Debug ":{"absent":true}}}]}`, `"X-Debug " is no name of a header`},
		"nameless header":    {`{"mail":[{"to":"a@b","headers":{"":{"absent":true}}}]}`, `"" is no name of a header`},
		"link for a mailbox": {`{"mail":[{"to":"mailto:a@b","absent":true}]}`, `"mailto:a@b" is not one address alone`},
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
		"unknown check":      {`{"mail":[{"to":"a@b","checks":["txt"]}]}`, `mail[0]: there is no check "txt": it is one of text, links, resolve, images, alt, placeholders, size, format, external, or all for all of them but external`},
		"absent and checked": {`{"mail":[{"to":"a@b","absent":true,"checks":["all"]}]}`, "it cannot have any other field but to"},
		"several at a time":  {`{"mail":[{"copies":-1}]}`, "mail[0] names no recipient\nexpectation: mail[0]: copies is -1"},
		"lower case statues": {`{"runs":[{"function":"f","status":"completed"}]}`, `there is no status "completed"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := harness.ParseExpectation([]byte(test.json))
			require.ErrorContains(t, err, test.want)
		})
	}
}
