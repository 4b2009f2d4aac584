package judge

import (
	"fmt"
	"net/mail"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

const kim, lee, boss = "kim@shop.test", "lee@shop.test", "boss@shop.test"

func addressed(to ...string) []*mail.Address {
	var list []*mail.Address
	for _, a := range to {
		list = append(list, &mail.Address{Address: a})
	}
	return list
}

// order is an email to kim, with a copy to lee and a blind one to boss.
func order(change func(*harness.Message)) harness.TraceMail {
	m := &harness.Message{
		ID: "m1", Subject: "Order 7", Text: "Hello Kim\n", MessageID: "7@shop.test",
		From: addressed("shop@shop.test"), To: addressed(kim), Cc: addressed(lee), ReplyTo: addressed("help@shop.test"),
		Envelope: harness.Envelope{From: "bounces@shop.test", To: []string{kim, lee, boss}},
		Headers:  []harness.Header{{Name: "Cc", Value: lee}, {Name: "X-Tag", Value: "a"}, {Name: "X-Tag", Value: "b"}, {Name: "X-Empty"}},
	}
	if change != nil {
		change(m)
	}
	return harness.TraceMail{RunID: "01RUN", Message: m}
}

// verdictOn judges a trace with these emails. The entries may stand in any sequence.
func verdictOn(t *testing.T, noOthers bool, entries []harness.MailExpectation, emails ...harness.TraceMail) *harness.Verdict {
	t.Helper()
	var v *harness.Verdict
	for range 2 {
		slices.Reverse(entries)
		e := harness.Expectation{Mail: entries, NoOtherMail: noOthers}
		require.NoError(t, e.Validate())
		v = judged(e, good(func(t *harness.Trace) { t.Mail = emails }), nil)
	}
	return v
}

func TestCompare_EachRecipientGetsAnEmail(t *testing.T) {
	t.Parallel()
	type entries = []harness.MailExpectation
	one := []harness.TraceMail{order(nil)}
	apart := []harness.TraceMail{ // the same message, one recipient at a time
		order(func(m *harness.Message) { m.Envelope.To = []string{kim} }),
		order(func(m *harness.Message) { m.ID, m.Envelope.To = "m2", []string{lee} }),
		order(func(m *harness.Message) { m.ID, m.Envelope.To = "m3", []string{boss} }),
	}
	named := slices.Clone(apart) // the copy of a blind recipient names it
	named[2] = order(func(m *harness.Message) {
		m.ID, m.Envelope.To, m.Headers = "m3", []string{boss}, append(m.Headers, harness.Header{Name: "Bcc", Value: boss})
	})
	wrong := slices.Clone(apart)
	wrong[1] = order(func(m *harness.Message) { m.ID, m.Envelope.To, m.Text = "m2", []string{lee}, "Hello Bob\n" })
	twice := []harness.TraceMail{order(nil), order(func(m *harness.Message) { m.ID = "m2" })}
	double := []harness.TraceMail{order(func(m *harness.Message) { m.Envelope.To = []string{kim, "KIM@shop.test"} })}
	unsent := []harness.TraceMail{order(func(m *harness.Message) { m.Envelope.To = []string{kim} })}
	tests := map[string]struct {
		mail   []harness.TraceMail
		want   entries
		others bool
		why    string // "" where it holds
	}{
		"an entry for each":             {one, entries{{To: kim}, {To: lee}, {To: boss}}, false, ""},
		"sent one after the other":      {apart, entries{{To: kim}, {To: lee}, {To: boss}}, false, ""},
		"a blind copy is another email": {one, entries{{To: kim}, {To: lee}}, false, `there is an email that was not expected: email to boss@shop.test: "Order 7" (in the envelope, in no header)`},
		"a copy is another email":       {one, entries{{To: kim}, {To: boss}}, false, `there is an email that was not expected: email to lee@shop.test: "Order 7"`},
		"others are allowed":            {one, entries{{To: kim}}, true, ""},
		"none to lee":                   {one, entries{{To: kim}, {To: boss}, {To: lee, Absent: true}}, false, `there is an email to lee@shop.test, want none`},
		"a recipient once":              {double, entries{{To: kim, Copies: 1}}, false, ""},
		"copies of each":                {twice, entries{{To: kim, Copies: 2}, {To: lee, Copies: 2}, {To: boss, Copies: 2}}, false, ""},
		"one copy of two":               {twice, entries{{To: kim, Copies: 2}, {To: lee, Copies: 1}, {To: boss, Copies: 2}}, false, `email to lee@shop.test: there are 2 of it, want 1`},
		"cc and bcc":                    {one, entries{{To: kim, Cc: harness.Texts{lee}, Bcc: harness.Texts{boss}}}, false, ""},
		"cc and an entry":               {one, entries{{To: kim, Cc: harness.Texts{lee}}, {To: lee}, {To: boss}}, false, ""},
		"cc of copies":                  {twice, entries{{To: kim, Copies: 2, Cc: harness.Texts{lee}, Bcc: harness.Texts{boss}}}, false, ""},
		"cc, sent one after the other":  {apart, entries{{To: kim, Cc: harness.Texts{lee}}, {To: boss}}, false, ""},
		"bcc, named in its own copy":    {named, entries{{To: kim, Cc: harness.Texts{lee}, Bcc: harness.Texts{boss}}}, false, ""},
		"cc, another text":              {wrong, entries{{To: kim, Cc: harness.Texts{lee}, Text: harness.Contains("Kim")}}, true, `email to kim@shop.test: what lee@shop.test got under its Message-ID: its text lacks "Kim"`},
		"cc, one of two copies":         {twice, entries{{To: kim, Cc: harness.Texts{lee}, Bcc: harness.Texts{boss}}}, false, "there is an email that was not expected: email to"},
		"cc does not cover bcc":         {one, entries{{To: kim, Cc: harness.Texts{lee}}}, false, `there is an email that was not expected: email to boss@shop.test`},
		"another cc":                    {one, entries{{To: kim, Cc: harness.Texts{boss}}}, true, `email to kim@shop.test: its header Cc lists lee@shop.test, want boss@shop.test`},
		"a cc too few":                  {one, entries{{To: kim, Cc: harness.Texts{lee, boss}}}, true, `its header Cc lists lee@shop.test, want lee@shop.test, boss@shop.test`},
		"cc that was not sent":          {unsent, entries{{To: kim, Cc: harness.Texts{lee}}}, true, `it was not sent to lee@shop.test, which its header Cc should list`},
		"another bcc":                   {one, entries{{To: kim, Bcc: harness.Texts{"max@shop.test"}}}, true, `in the envelope and in no header are boss@shop.test, want max@shop.test`},
		"bcc, sent one after the other": {apart, entries{{To: kim, Cc: harness.Texts{lee}, Bcc: harness.Texts{boss}}}, false, ""},
		"no bcc":                        {unsent, entries{{To: kim, Bcc: harness.Texts{boss}}}, true, `in the envelope and in no header are no addresses, want boss@shop.test`},
		"bcc in a header": {[]harness.TraceMail{order(func(m *harness.Message) {
			m.Headers = append(m.Headers, harness.Header{Name: "Bcc", Value: "Boss <BOSS@shop.test>"})
		})}, entries{{To: kim, Bcc: harness.Texts{boss}}}, true, `its header Bcc lists boss@shop.test, so every recipient can see it`},
		"bcc within another address": {[]harness.TraceMail{order(func(m *harness.Message) {
			m.Headers = append(m.Headers, harness.Header{Name: "Bcc", Value: "Big Boss <big" + boss + ">"})
		})}, entries{{To: kim, Bcc: harness.Texts{boss}}}, true, ""},
		"reply-to":                        {one, entries{{To: kim, ReplyTo: harness.Texts{"HELP@shop.test"}}}, true, ""},
		"another reply-to":                {one, entries{{To: kim, ReplyTo: harness.Texts{kim}}}, true, `its header Reply-To lists help@shop.test, want kim@shop.test`},
		"sender in the envelope":          {one, entries{{To: kim, EnvelopeFrom: harness.Equals("bounces@shop.test")}}, true, ""},
		"no sender in the envelope":       {one, entries{{To: kim, EnvelopeFrom: harness.Equals("")}}, true, `its sender in the envelope differs:`},
		"entries of one message compared": {one, entries{{To: kim, Headers: map[string]harness.Match{"Cc": harness.Equals(lee)}}, {To: boss, Headers: map[string]harness.Match{"Cc": harness.Equals(lee)}}, {To: lee}}, false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verdictOn(t, !test.others, test.want, test.mail...)
			requireWhy(t, v, test.why)
		})
	}
	v := verdictOn(t, false, entries{{To: kim}}, one...)
	require.Equal(t, "1 run, 3 emails", v.Why)
	require.NotContains(t, v.String(), "in no header", "kim is in a header")
}

func TestCompare_Matches(t *testing.T) {
	t.Parallel()
	header := func(name string, m harness.Match) harness.MailExpectation {
		return harness.MailExpectation{To: kim, Headers: map[string]harness.Match{name: m}}
	}
	subject := func(m harness.Match) harness.MailExpectation { return harness.MailExpectation{To: kim, Subject: m} }
	body := func(m harness.Match) harness.MailExpectation { return harness.MailExpectation{To: kim, Text: m} }
	tests := map[string]struct {
		want harness.MailExpectation
		why  string // "" where it holds
	}{
		"equal":                     {subject(harness.Equals("Order 7")), ""},
		"not equal":                 {subject(harness.Equals("Order")), "its subject differs:\n          got  \"Order 7\"\n          want \"Order\""},
		"part":                      {subject(harness.Contains("Order", "7")), ""},
		"no part":                   {subject(harness.Contains("Order", "8")), `its subject lacks "8"`},
		"matches":                   {subject(harness.Matches(`^Order \d+$`)), ""},
		"does not match":            {subject(harness.Matches(`^Order [a-z]+$`)), "its subject does not match \"^Order [a-z]+$\"; it reads:\n          | Order 7"},
		"all at once":               {subject(harness.Match{Contains: harness.Texts{"Order"}, Matches: `\d`, Present: true}), ""},
		"one of all":                {subject(harness.Match{Contains: harness.Texts{"Order"}, Matches: `\d\d`}), `its subject does not match "\\d\\d"`},
		"present":                   {subject(harness.Present()), ""},
		"absent":                    {subject(harness.Absent()), `it has a subject, want none: "Order 7"`},
		"whole text":                {body(harness.Equals("Hello Kim\n")), ""},
		"another whole text":        {body(harness.Equals("Hello Lee\n")), "its text differs (- expected, + email):\n          - Hello Lee\n          + Hello Kim"},
		"all but its last break":    {body(harness.Equals("Hello Kim")), "its text differs (- expected, + email):\n          - \"Hello Kim\"\n          + \"Hello Kim\\n\"\n          only line breaks or the spaces beside them differ"},
		"text absent":               {body(harness.Absent()), `it has a text, want none: "Hello Kim\n"`},
		"no HTML":                   {harness.MailExpectation{To: kim, HTML: harness.Absent()}, ""},
		"HTML present":              {harness.MailExpectation{To: kim, HTML: harness.Present()}, "it has no HTML"},
		"HTML matches":              {harness.MailExpectation{To: kim, HTML: harness.Matches("<p>")}, `its HTML does not match "<p>"`},
		"header":                    {header("x-tag", harness.Equals("b")), ""},
		"another header":            {header("X-Tag", harness.Equals("c")), `its header X-Tag is ["a" "b"], want "c"`},
		"a part of a header":        {header("X-Tag", harness.Contains("c")), `its header X-Tag is ["a" "b"], want one with "c"`},
		"a header that matches":     {header("X-Tag", harness.Matches("^[bc]$")), ""},
		"none that matches":         {header("X-Tag", harness.Matches("^ab$")), `its header X-Tag is ["a" "b"], want one that matches "^ab$"`},
		"not all in one":            {header("X-Tag", harness.Contains("a", "b")), `its header X-Tag is ["a" "b"], want one with "b"`},
		"header present":            {header("X-Tag", harness.Present()), ""},
		"empty header present":      {header("X-Empty", harness.Present()), ""},
		"empty header":              {header("X-Empty", harness.Equals("")), ""},
		"no empty header":           {header("X-Debug", harness.Equals("")), "it has no header X-Debug"},
		"header not present":        {header("X-Debug", harness.Present()), "it has no header X-Debug"},
		"header not there to match": {header("X-Debug", harness.Matches(".*")), "it has no header X-Debug"},
		"header absent":             {header("X-Debug", harness.Absent()), ""},
		"header not absent":         {header("X-Tag", harness.Absent()), `it has the header X-Tag, want none: ["a" "b"]`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verdictOn(t, false, []harness.MailExpectation{test.want}, order(nil))
			requireWhy(t, v, test.why)
		})
	}
}

func TestCompare_Files(t *testing.T) {
	t.Parallel()
	type files = []harness.FileExpectation
	invoice := harness.Part{Name: "invoice-7.pdf", ContentType: "application/pdf", Data: []byte("%PDF-")}
	list := harness.Part{Name: "list.csv", ContentType: "text/csv", Data: []byte("a,b\r\n1,2\r\n"), Text: "a,b\n1,2\n"}
	logo := harness.Part{Name: "logo.png", ContentType: "image/png", Data: []byte{1}}
	const hash = "E3B0C44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	tests := map[string]struct {
		attachments, inlines files
		none                 bool   // no other files
		why                  string // "" where it holds
	}{
		"by name":            {files{{Name: harness.Equals("list.csv")}, {Name: harness.Matches(`^invoice-\d+\.pdf$`)}}, nil, false, ""},
		"all of them":        {files{{Type: "application/PDF", Size: 5, Text: harness.Equals("%PDF-")}, {Size: 10, Text: harness.Contains("a,b\n1,2")}}, files{{Type: "image/png"}}, true, ""},
		"any that chooses":   {files{{}, {Type: "application/pdf"}}, nil, false, ""},
		"one too few":        {files{{}, {}, {Name: harness.Equals("terms.pdf")}}, nil, false, `it has no attachment, or no further one, want "terms.pdf"`},
		"another name":       {files{{Name: harness.Equals("bill.pdf"), Type: "application/pdf"}}, nil, false, `it has no attachment "bill.pdf", but "invoice-7.pdf"`},
		"another type":       {nil, files{{Type: "image/gif"}}, false, `its inline part "logo.png" differs: its type is image/png, want image/gif`},
		"another size":       {files{{Type: "application/pdf", Size: 6}}, nil, false, `it has 5 bytes, want 6`},
		"another hash":       {files{{Type: "application/pdf", SHA256: hash}}, nil, false, "its sha256 is "},
		"another text":       {files{{Type: "text/csv", Text: harness.Contains("a,c")}}, nil, false, `its text lacks "a,c"`},
		"another attachment": {files{{Type: "text/csv"}}, files{{}}, true, `it has an attachment that was not expected: "invoice-7.pdf" (application/pdf, 5 bytes)`},
		"another inline":     {files{{}, {}}, nil, true, `it has an inline part that was not expected: "logo.png" (image/png, 1 bytes)`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := order(func(m *harness.Message) {
				m.Attachments, m.Inlines = []harness.Part{invoice, list}, []harness.Part{logo}
			})
			want := harness.MailExpectation{To: kim, Attachments: test.attachments, Inlines: test.inlines, NoOtherFiles: test.none}
			v := verdictOn(t, false, []harness.MailExpectation{want}, m)
			requireWhy(t, v, test.why)
		})
	}
}

func TestCompare_CalendarMethod(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ inType, inData, want, why string }{
		{"REQUEST", "REQUEST", "REQUEST", ""},
		{"request", "REQUEST", "REQUEST", ""},
		{"", "REQUEST", "REQUEST", `the method of its calendar is "" in the type of the part and "REQUEST" in the data, want REQUEST: mail programs need both`},
		{"PUBLISH", "REQUEST", "REQUEST", `is "PUBLISH" in the type of the part`},
		{"REQUEST", "", "REQUEST", `and "" in the data`},
		{"REQUEST", "REQUEST", "CANCEL", "want CANCEL"},
	} {
		m := order(func(m *harness.Message) {
			data := fmt.Sprintf("BEGIN:VCALENDAR\r\nMETHOD:%s\r\nEND:VCALENDAR\r\n", test.inData)
			m.Attachments = []harness.Part{{ContentType: "text/calendar", CalendarMethod: test.inType, Data: []byte(data)}}
		})
		v := verdictOn(t, false, []harness.MailExpectation{{To: kim, Calendar: test.want}}, m)
		if test.why == "" {
			require.NoError(t, v.Err())
		} else {
			require.Contains(t, v.Why, test.why)
		}
	}
	v := verdictOn(t, false, []harness.MailExpectation{{To: kim, Calendar: "REQUEST"}}, order(nil))
	require.Contains(t, v.Why, "it has no part of the type text/calendar, want an invitation with the method REQUEST")
}

func TestCompare_SameMessageIDAndProblems(t *testing.T) {
	t.Parallel()
	copies := func(ids ...string) []harness.TraceMail {
		var all []harness.TraceMail
		for i, id := range ids {
			all = append(all, order(func(m *harness.Message) { m.ID, m.MessageID, m.Envelope.To = fmt.Sprint(i), id, []string{kim} }))
		}
		return all
	}
	same := []harness.MailExpectation{{To: kim, Copies: 2, SameMessageID: true}}
	require.NoError(t, verdictOn(t, true, same, copies("a", "a")...).Err())
	require.Contains(t, verdictOn(t, true, same, copies("a", "b")...).Why, "email to kim@shop.test: its Message-ID is b, another one than that of the first, a")
	require.Contains(t, verdictOn(t, true, same, copies("", "")...).Why, "email to kim@shop.test: it has no Message-ID, so nothing says that its copies are one email")
	same[0].Copies = 0
	require.NoError(t, verdictOn(t, false, same, copies("a", "a", "a")...).Err(), "any number of copies")
	require.Error(t, verdictOn(t, false, same, copies("a", "a", "b")...).Err())

	none := []harness.MailExpectation{{To: kim, Problems: harness.NoProblems}}
	require.NoError(t, verdictOn(t, false, none, order(nil)).Err())
	v := verdictOn(t, false, none, order(func(m *harness.Message) { m.Problems = []string{"header Subject stands 2 times"} }))
	require.Contains(t, v.Why, "email to kim@shop.test: it is malformed: header Subject stands 2 times")
}

// requireWhy requires a verdict that holds, or, with a text, one that is broken and says it.
func requireWhy(t *testing.T, v *harness.Verdict, why string) {
	t.Helper()
	if why == "" {
		require.NoError(t, v.Err())
		return
	}
	require.Equal(t, harness.Broken, v.Outcome, "%s", v)
	require.Contains(t, v.String(), why)
}
