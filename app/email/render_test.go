package email_test

import (
	"bytes"
	"fmt"
	"net/mail"
	"os"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/jhillyerd/enmime/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
)

var sender = mail.Address{Name: "Plant maintenance", Address: "maintenance@plant.test"}

// notification returns a complete notification that a test may change.
func notification() email.Notification {
	return email.Notification{
		To:           mail.Address{Name: "Kim Larsen", Address: "kim@plant.test"},
		RequestID:    "66f1a0c2e4b0a1d2c3e4f501",
		Subject:      "Belt slips under full load",
		Type:         "corrective",
		Priority:     "high",
		Equipment:    "Conveyor belt 3",
		Requester:    "Dana Ortiz",
		Technician:   "Kim Larsen",
		ScheduledFor: time.Date(2026, 11, 30, 13, 30, 0, 0, time.UTC),
		Description:  "The belt slips.\nRetensioning held for an hour.\n\n  - drum is worn",
		URL:          "https://maintenance.example.com/requests/66f1a0c2e4b0a1d2c3e4f501?sig=a1b2&x=1",
		MessageID:    "<maintenance-request.66f1a0c2e4b0a1d2c3e4f501@plant.test>",
		RunID:        "01JD0000000000000000000000",
		Date:         time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC),
	}
}

func render(t testing.TB, n email.Notification) *email.Message {
	t.Helper()
	m, err := email.Render(n, sender)
	require.NoError(t, err)
	return m
}

func raw(t testing.TB, m *email.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := m.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), n)
	return b.Bytes()
}

// received parses a message as its receiver would. It fails the test on any defect.
func received(t testing.TB, m *email.Message) *enmime.Envelope {
	t.Helper()
	return parseMessage(t, raw(t, m))
}

func parseMessage(t testing.TB, data []byte) *enmime.Envelope {
	t.Helper()
	// By default enmime guesses a character set for UTF-8 text that contains U+FFFD.
	e, err := enmime.NewParser(enmime.DisableCharacterDetection(true)).ReadEnvelope(bytes.NewReader(data))
	require.NoError(t, err)
	require.Empty(t, e.Errors)
	return e
}

func TestRender_WritesCompleteEmail(t *testing.T) {
	t.Parallel()
	m := render(t, notification())
	e := received(t, m)

	for name, want := range map[string]string{
		"Subject":                  "[High] Corrective maintenance: Belt slips under full load",
		"From":                     `"Plant maintenance" <maintenance@plant.test>`,
		"To":                       `"Kim Larsen" <kim@plant.test>`,
		"Message-Id":               "<maintenance-request.66f1a0c2e4b0a1d2c3e4f501@plant.test>",
		"Date":                     "Mon, 23 Nov 2026 09:00:00 +0000",
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"X-Inngest-Run-Id":         "01JD0000000000000000000000",
		"X-Maintenance-Request-Id": "66f1a0c2e4b0a1d2c3e4f501",
		"Importance":               "high",
		"Content-Language":         "en",
		"Mime-Version":             "1.0",
	} {
		require.Equal(t, []string{want}, e.GetHeaderValues(name), name)
	}
	require.Len(t, e.GetHeaderKeys(), 13, "the above and Content-Type: %v", e.GetHeaderKeys())

	require.Equal(t, `Corrective maintenance
High priority

Belt slips under full load

Hello Kim Larsen,
This maintenance request is assigned to you.

Equipment: Conveyor belt 3
Requested by: Dana Ortiz
Scheduled for: Monday 30 November 2026, 13:30 UTC (+00:00)

Description

The belt slips.
Retensioning held for an hour.

  - drum is worn

Open the request: https://maintenance.example.com/requests/66f1a0c2e4b0a1d2c3e4f501?sig=a1b2&x=1

-- 
Sent automatically by the maintenance service, because you are the technician of this request.
Request 66f1a0c2e4b0a1d2c3e4f501
`, strings.ReplaceAll(e.Text, "\r\n", "\n"))
	require.Equal(t, m.HTML, strings.ReplaceAll(e.HTML, "\r\n", "\n"))
}

func TestRender_DependsOnlyOnArguments(t *testing.T) {
	t.Parallel()
	require.Equal(t, render(t, notification()), render(t, notification()))

	n := notification()
	n.Date = time.Time{}
	require.WithinDuration(t, time.Now(), render(t, n).Date, time.Minute)
}

func TestWriteTo_UsesCRLF(t *testing.T) {
	t.Parallel()
	for name, description := range map[string]string{"quoted-printable": "a\nb\r\nc", "base64": strings.Repeat("圧\n", 2000)} {
		n := notification()
		n.Description = description
		data := raw(t, render(t, n))
		require.Contains(t, string(data), "Content-Transfer-Encoding: "+name)
		require.Equal(t, bytes.Count(data, []byte("\n")), bytes.Count(data, []byte("\r\n")), "bare line feeds in the source")
		e := received(t, render(t, n))
		require.Equal(t, strings.Count(e.Text, "\n"), strings.Count(e.Text, "\r\n"), "bare line feeds in the text part")
		for line := range bytes.SplitSeq(data, []byte("\r\n")) {
			require.LessOrEqual(t, len(line), 998, "RFC 5322, 2.1.1")
		}
	}
}

func TestRender_SubjectHeader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("unterbrechungsfrei ", 40)
	for name, c := range map[string]struct {
		change func(*email.Notification)
		want   string
	}{
		"high":           {func(*email.Notification) {}, "[High] Corrective maintenance: Belt slips under full load"},
		"normal":         {func(n *email.Notification) { n.Priority = "normal" }, "Corrective maintenance: Belt slips under full load"},
		"labels":         {func(n *email.Notification) { n.Type, n.Priority = "Preventive maintenance", "High priority" }, "[High] Preventive maintenance: Belt slips under full load"},
		"other type":     {func(n *email.Notification) { n.Type, n.Priority = "Inspection", "" }, "Inspection: Belt slips under full load"},
		"no type":        {func(n *email.Notification) { n.Type, n.Priority = "", "" }, "Maintenance request: Belt slips under full load"},
		"no subject":     {func(n *email.Notification) { n.Subject, n.Priority = "", "" }, "Corrective maintenance: Conveyor belt 3"},
		"nothing":        {func(n *email.Notification) { n.Subject, n.Equipment, n.Priority = "", "", "" }, "Corrective maintenance: 66f1a0c2e4b0a1d2c3e4f501"},
		"line breaks":    {func(n *email.Notification) { n.Subject = "Belt\r\nBcc: eve@evil.test" }, "[High] Corrective maintenance: Belt Bcc: eve@evil.test"},
		"white space":    {func(n *email.Notification) { n.Subject = "Belt" + strings.Repeat(" ", 500) + "torn\t\v\u2028!" }, "[High] Corrective maintenance: Belt torn !"},
		"controls":       {func(n *email.Notification) { n.Subject = "Be\x00lt\x1b[31m \u202etorn\u202c \x7f" }, "[High] Corrective maintenance: Belt[31m torn"},
		"encoded word":   {func(n *email.Notification) { n.Subject = "=?utf-8?q?Bcc=3A?=" }, "[High] Corrective maintenance: = ?utf-8?q?Bcc=3A?="},
		"not UTF-8":      {func(n *email.Notification) { n.Subject = "Belt \xff\xfe torn" }, "[High] Corrective maintenance: Belt \uFFFD\uFFFD torn"},
		"right to left":  {func(n *email.Notification) { n.Subject = "تسرّب زيت من المكبس" }, "[High] Corrective maintenance: تسرّب زيت من المكبس"},
		"emoji":          {func(n *email.Notification) { n.Subject = "⚠️ 👩🏽‍🔧 油漏れ" }, "[High] Corrective maintenance: ⚠️ 👩🏽‍🔧 油漏れ"},
		"long":           {func(n *email.Notification) { n.Subject = long }, "[High] " + ("Corrective maintenance: " + long)[:197] + "…"},
		"long, families": {func(n *email.Notification) { n.Subject = strings.Repeat("👩‍👩‍👧‍👦", 50) }, "[High] Corrective maintenance: " + strings.Repeat("👩‍👩‍👧‍👦", 6) + "…"},
		"long, accents":  {func(n *email.Notification) { n.Type, n.Subject = "", "Z"+strings.Repeat("\u0301", 5000) }, "[High] Maintenance request:…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := notification()
			c.change(&n)
			m := render(t, n)
			require.Equal(t, c.want, m.Subject)
			require.Equal(t, c.want, received(t, m).GetHeader("Subject"))
		})
	}
}

func TestRender_DisplayNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Zoë Müller":                        "Zoë Müller",
		"田中 花子":                             "田中 花子",
		`Kim" <eve@evil.test>, "x`:          `Kim" <eve@evil.test>, "x`,
		"Kim\r\nBcc: eve@evil.test":         "Kim Bcc: eve@evil.test",
		"=?utf-8?q?eve=40evil=2Etest?=":     "= ?utf-8?q?eve=40evil=2Etest?=",
		"":                                  "",
		strings.Repeat("long name ", 30):    strings.Repeat("long name ", 11) + "long na…",
		`Zoë \ Müller`:                      "Zoë / Müller",
		"\u202emoc.tset@nimda\u202c\u2066x": "moc.tset@nimdax",
	} {
		n := notification()
		n.To.Name = name
		list, err := received(t, render(t, n)).AddressList("To")
		require.NoError(t, err)
		require.Equal(t, []*mail.Address{{Name: want, Address: "kim@plant.test"}}, list)
	}
}

func TestRender_RejectsInvalidNotification(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*email.Notification)
		want   string
	}{
		"no address":     {func(n *email.Notification) { n.To.Address = "" }, "render notification: recipient: there is no email address"},
		"no at":          {func(n *email.Notification) { n.To.Address = "kim" }, `render notification: recipient: "kim" is not an email address: it has no @`},
		"two addresses":  {func(n *email.Notification) { n.To.Address = "kim@plant.test, eve@evil.test" }, `recipient: "kim@plant.test, eve@evil.test" is not an email address: `},
		"line break":     {func(n *email.Notification) { n.To.Address = "kim@plant.test>\r\nRCPT TO:<eve@evil.test" }, `is not an email address: `},
		"quoted":         {func(n *email.Notification) { n.To.Address = `"kim larsen"@plant.test` }, `is not an email address: it reads as "kim larsen@plant.test"`},
		"with a name":    {func(n *email.Notification) { n.To.Address = "Kim <kim@plant.test>" }, `is not an email address: `},
		"parameters":     {func(n *email.Notification) { n.To.Address = "kim@plant.test> NOTIFY=NEVER" }, `is not an email address: `},
		"comment":        {func(n *email.Notification) { n.To.Address = "kim@plant.test(x)" }, `is not an email address: `},
		"bad domain":     {func(n *email.Notification) { n.To.Address = "kim@\u202eplant.test" }, "its domain has no ASCII form"},
		"too long":       {func(n *email.Notification) { n.To.Address = "kim@" + strings.Repeat("a.", 130) + "test" }, "an email address of 268 bytes: at most 254 are allowed"},
		"no request":     {func(n *email.Notification) { n.RequestID = "" }, "render notification: it names no request"},
		"no link":        {func(n *email.Notification) { n.URL = "" }, `render notification: link to the request's page: "" is not an absolute http or https URL`},
		"relative link":  {func(n *email.Notification) { n.URL = "/requests/1" }, `"/requests/1" is not an absolute http or https URL`},
		"script link":    {func(n *email.Notification) { n.URL = "javascript:alert(1)" }, `"javascript:alert(1)" is not an absolute http or https URL`},
		"broken link":    {func(n *email.Notification) { n.URL = "http://a b" }, "link to the request's page: parse"},
		"long link":      {func(n *email.Notification) { n.URL = "http://a/" + strings.Repeat("x", 2000) }, "2009 bytes long, at most 2000 are allowed"},
		"Message-ID":     {func(n *email.Notification) { n.MessageID = "id@plant.test" }, `"id@plant.test" is not a Message-ID: it needs the form <left@right>`},
		"Message-ID, LF": {func(n *email.Notification) { n.MessageID = "<id@plant.test>\nBcc: x" }, "is not a Message-ID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := notification()
			c.change(&n)
			_, err := email.Render(n, sender)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := email.Render(notification(), mail.Address{Address: "nobody"})
	require.EqualError(t, err, `render notification: sender: "nobody" is not an email address: it has no @`)
}

func TestRender_AcceptsUnusualAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"kim@bücher.test":   "kim@xn--bcher-kva.test",
		"kim+a7@plant.test": "kim+a7@plant.test",
		"o'hara@plant.test": "o'hara@plant.test",
		"kïm@plant.test":    "kïm@plant.test",
	} {
		n := notification()
		n.To.Address = address
		m := render(t, n)
		require.Equal(t, want, m.To.Address)
		require.Contains(t, string(raw(t, m)), (&mail.Address{Name: "Kim Larsen", Address: want}).String())
	}
}

func TestRender_ScheduleNamesZone(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]string{
		"Europe/Berlin": "Monday 30 November 2026, 14:30 CET (+01:00)",
		"Asia/Kolkata":  "Monday 30 November 2026, 19:00 IST (+05:30)",
		"Asia/Dubai":    "Monday 30 November 2026, 17:30 Asia/Dubai (+04:00)",
		"UTC":           "Monday 30 November 2026, 13:30 UTC (+00:00)",
	} {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		n := notification()
		n.TimeZone = location
		m := render(t, n)
		require.Contains(t, m.Text, "\nScheduled for: "+want+"\n")
		require.Contains(t, visibleText(t, m.HTML), "Scheduled for "+want)
	}
	n := notification()
	n.ScheduledFor = time.Time{}
	m := render(t, n)
	require.NotContains(t, m.Text, "Scheduled")
	require.NotContains(t, m.HTML, "Scheduled")
}

func TestRender_OmitsEmptyTexts(t *testing.T) {
	t.Parallel()
	m := render(t, email.Notification{
		To: mail.Address{Address: "kim@plant.test"}, RequestID: "r1", URL: "http://localhost:3000/requests/r1",
	})
	require.Equal(t, `Maintenance request

This maintenance request is assigned to you.

Open the request: http://localhost:3000/requests/r1

-- 
Sent automatically by the maintenance service, because you are the technician of this request.
Request r1
`, m.Text)
	require.Equal(t, "<maintenance-request.r1@plant.test>", m.MessageID, "derived from the request and the sender")
	require.NotContains(t, m.Headers, "X-Inngest-Run-Id")
	require.NotContains(t, m.Headers, "Importance")
	require.NotContains(t, m.HTML, "<span")
	require.NotContains(t, m.HTML, "Description")
	require.Equal(t, strings.Fields(m.Text)[:11], strings.Fields(visibleText(t, m.HTML))[:11])
}

func TestRender_IsolatesWritingDirection(t *testing.T) {
	t.Parallel()
	const lri, rlo, pdf, fsi, pdi = "\u2066", "\u202e", "\u202c", "\u2068", "\u2069"
	for name, want := range map[string]string{
		"Dana":                      "Dana",
		"田中 花子":                     "田中 花子",
		"ليلى":                      fsi + "ليلى" + pdi,
		"a" + rlo + "b":             fsi + "a" + rlo + "b" + pdf + pdi,
		"a" + pdi + pdi + pdf + "b": fsi + "ab" + pdi,
		lri + rlo + "a":             fsi + lri + rlo + "a" + pdf + pdi + pdi,
		rlo + "a" + pdf + "b":       fsi + rlo + "a" + pdf + "b" + pdi,
		rlo + "a" + pdi:             fsi + rlo + "a" + pdf + pdi,
	} {
		n := notification()
		n.Requester = name
		m := render(t, n)
		require.Contains(t, m.Text, "\nRequested by: "+want+"\n", "%+q", name)
		inner := strings.TrimSuffix(strings.TrimPrefix(want, fsi), pdi)
		require.Contains(t, m.HTML, "<bdi>"+inner+"</bdi>", "%+q", name)
	}
}

func TestRender_KeepsLinesAndParagraphsOfDescription(t *testing.T) {
	t.Parallel()
	n := notification()
	n.Description = "\r\n\r\none\r\n  two\tx\x00\x1b \n\n\n\n \nthree\u2028four\r\n"
	m := render(t, n)
	require.Contains(t, m.Text, "Description\n\none\n  two\tx\n\nthree\nfour\n\nOpen")
	require.Contains(t, m.HTML, ">one<br>  two\tx</p><p dir=\"auto\" style=\"margin:0 0 12px\">three<br>four</p>")
}

// Large webmail services clip a message at 102 KB. A message stays below that for any text, and says if it was cut.
func TestRender_StaysUnderClippingLimit(t *testing.T) {
	t.Parallel()
	const limit = 102_000
	for name, c := range map[string]struct {
		text  string
		whole bool
	}{
		"letters":     {strings.Repeat("W", 10_000), true},
		"words":       {strings.Repeat("word ", 2_000), true},
		"Japanese":    {strings.Repeat("圧", 10_000), true},
		"Arabic":      {strings.Repeat("تسرب زيت ", 1_111), true},
		"markup":      {strings.Repeat("<", 10_000), true},
		"emoji":       {strings.Repeat("😀", 10_000), false},
		"plus signs":  {strings.Repeat("+", 20_000), false},
		"paragraphs":  {strings.Repeat("a\n\n", 20_000), false},
		"lines":       {strings.Repeat("a\n", 20_000), false},
		"quotes":      {strings.Repeat(`"`, 20_000), false},
		"equal signs": {strings.Repeat("=", 40_000), false},
		"families":    {strings.Repeat("👩‍👩‍👧‍👦", 10_000), false},
		"accents":     {"Z" + strings.Repeat("\u0301", 20_000), false},
		"overrides":   {strings.Repeat("a\u202e", 40_000), false},
		"megabytes":   {strings.Repeat("word ", 50_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := notification()
			n.Description = c.text
			m := render(t, n)
			require.Less(t, len(raw(t, m)), limit)
			require.Equal(t, !c.whole, strings.Contains(m.Text, "[…] The description goes on."), "must say whether it was cut")
			require.Equal(t, !c.whole, strings.Contains(m.HTML, "[…] The description goes on."), "must say whether it was cut")
			if c.whole {
				require.Contains(t, m.Text, strings.TrimSpace(c.text))
			}

			n = notification() // the same everywhere
			n.Subject, n.Type, n.Priority, n.Equipment, n.Requester, n.Technician = c.text, c.text, c.text, c.text, c.text, c.text
			n.Description, n.RunID, n.RequestID, n.To.Name = c.text, c.text, c.text, c.text
			n.URL = "https://maintenance.example.com/?" + strings.Repeat("&", 1900)
			require.Less(t, len(raw(t, render(t, n))), limit)
		})
	}
}

// Both parts have the same content in the same order.
func TestRender_BothPartsHaveSameContent(t *testing.T) {
	t.Parallel()
	for name, n := range samples(t) {
		m := render(t, n)
		rest := flat(m.Text)
		for _, text := range visibleTexts(t, m.HTML) {
			_, after, found := strings.Cut(rest, flat(text))
			require.True(t, found, "%s: the text part lacks %q of the HTML part, or has it earlier", name, text)
			rest = after
		}
		seen := flat(visibleText(t, m.HTML))
		for _, text := range strings.Fields(flat(m.Text)) {
			require.Contains(t, seen, strings.TrimRight(text, ":,"), name)
		}
	}
}

// flat removes white space and isolates, which differ between the parts.
func flat(s string) string {
	s = strings.NewReplacer("\u2068", "", "\u2069", "", "\n-- \n", "\n").Replace(s)
	return strings.Join(strings.Fields(s), " ")
}

// samples returns the notifications of all fixture requests that lead to an email.
func samples(t *testing.T) map[string]email.Notification {
	t.Helper()
	all := map[string]email.Notification{}
	plant := fixtures.HostileWorld()
	for _, r := range append(fixtures.Requests(), fixtures.HostileRequests()...) {
		technician, _ := plant.User(r.Field("technicianId"))
		if !r.Accepted() || r.Notification != fixtures.Sent {
			continue
		}
		requester, _ := plant.User(r.Field("requestedById"))
		equipment, _ := plant.EquipmentByID(r.Field("equipmentId"))
		n := notification()
		n.To = mail.Address{Name: technician.Name, Address: technician.Email}
		n.Technician, n.Requester, n.Equipment = technician.Name, requester.Name, equipment.Name
		n.Subject, n.Description = r.Field("subject"), r.Field("description")
		n.Type, n.Priority = r.Field("type"), r.Field("priority")
		n.ScheduledFor = time.Time{}
		if s := r.Field("scheduledFor"); s != "" {
			var err error
			n.ScheduledFor, err = time.Parse(time.RFC3339, s)
			require.NoError(t, err)
		}
		all[r.Name] = n
	}
	require.Greater(t, len(all), 15)
	return all
}

// What mail programs and screen readers need from the HTML part.
func TestRender_HTMLIsSelfContainedAndAccessible(t *testing.T) {
	t.Parallel()
	for name, n := range samples(t) {
		m := render(t, n)
		doc := parse(t, m.HTML)
		require.True(t, strings.HasPrefix(m.HTML, "<!DOCTYPE html>"), name)
		for node := range doc.Descendants() {
			if node.Type != html.ElementNode {
				continue
			}
			switch node.Data {
			case "html":
				require.Equal(t, "en", attr(node, "lang"))
			case "title":
				require.Equal(t, m.Subject, strings.TrimSpace(textOf(node)))
			case "table":
				require.Equal(t, "presentation", attr(node, "role"), "%s: a layout table", name)
			case "a":
				require.Equal(t, n.URL, attr(node, "href"), name)
			case "script", "img", "link", "iframe", "object", "embed", "form", "svg", "video", "audio", "base":
				t.Errorf("%s: an email has no <%s>", name, node.Data)
			}
			for _, a := range node.Attr {
				require.NotContains(t, []string{"src", "srcset", "background", "action", "ping"}, a.Key, name)
				require.False(t, strings.HasPrefix(a.Key, "on"), "%s: attribute %s", name, a.Key)
				require.NotContains(t, a.Val, "url(", name)
			}
			if node.Data == "style" {
				require.NotContains(t, textOf(node), "url(")
				require.NotContains(t, textOf(node), "@import")
				require.Contains(t, textOf(node), "prefers-color-scheme: dark")
			}
		}
		for _, want := range []string{`<meta name="color-scheme" content="light dark">`, `<meta name="supported-color-schemes" content="light dark">`, `max-width:600px`} {
			require.Contains(t, m.HTML, want)
		}
	}
}

func parse(t testing.TB, s string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(s))
	require.NoError(t, err)
	return doc
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// visibleTexts returns the visible texts in document order, without head and preheader.
func visibleTexts(t testing.TB, s string) []string {
	t.Helper()
	var texts []string
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Data == "head" || strings.Contains(attr(n, "style"), "display:none") {
			return
		}
		if text := strings.TrimSpace(n.Data); n.Type == html.TextNode && text != "" {
			texts = append(texts, text)
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
	}
	walk(parse(t, s))
	return texts
}

func visibleText(t testing.TB, s string) string {
	t.Helper()
	return strings.Join(visibleTexts(t, s), " ")
}

func TestRender_PreheaderListsDetails(t *testing.T) {
	t.Parallel()
	for node := range parse(t, render(t, notification()).HTML).Descendants() {
		if strings.Contains(attr(node, "style"), "display:none") {
			require.Equal(t, "Equipment Conveyor belt 3 · Requested by Dana Ortiz · Scheduled for Monday 30 November 2026, 13:30 UTC (+00:00)", textOf(node))
			return
		}
	}
	t.Fatal("there is no preheader")
}

func TestMessageID(t *testing.T) {
	t.Parallel()
	for in, want := range map[[2]string]string{
		{"66f1a0c2e4b0a1d2c3e4f501", "plant.test"}: "<maintenance-request.66f1a0c2e4b0a1d2c3e4f501@plant.test>",
		{"r1", "bücher.test"}:                      "<maintenance-request.r1@xn--bcher-kva.test>",
		{"r1", "localhost"}:                        "<maintenance-request.r1@localhost>",
		{"r1", ""}:                                 "<maintenance-request.r1@invalid>",
		{"r1", "a>\r\nBcc: x"}:                     "<maintenance-request.r1@invalid>",
		{"a>\r\nBcc: x", "plant.test"}:             "<maintenance-request.1022f17ef4cd38816866349ddc3987fd@plant.test>",
		{"", "plant.test"}:                         "<maintenance-request.e3b0c44298fc1c149afbf4c8996fb924@plant.test>",
	} {
		require.Equal(t, want, email.MessageID(in[0], in[1]), "%q", in)
	}
	long := email.MessageID(strings.Repeat("a", 65), "plant.test")
	require.Less(t, len(long), 80)
	require.NotEqual(t, long, email.MessageID(strings.Repeat("a", 66), "plant.test"))
}

func TestWriteTo_RejectsInvalidMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*email.Message)
		want   string
	}{
		"subject":      {func(m *email.Message) { m.Subject = "a\r\nBcc: x" }, "the subject has a line break"},
		"header value": {func(m *email.Message) { m.Headers["X-A"] = "a\nBcc: x" }, `header "X-A": a name has letters, digits and dashes, a value no line break`},
		"header name":  {func(m *email.Message) { m.Headers["X-A: b\r\nBcc"] = "x" }, "a name has letters, digits and dashes"},
		"sender":       {func(m *email.Message) { m.From.Address = "" }, "sender: there is no email address"},
		"recipient":    {func(m *email.Message) { m.To.Address = "a@b>,<c@d" }, "recipient: "},
	} {
		m := render(t, notification())
		c.change(m)
		_, err := m.WriteTo(new(bytes.Buffer))
		require.ErrorContains(t, err, c.want, name)
	}

	_, err := render(t, notification()).WriteTo(brokenWriter{})
	require.ErrorIs(t, err, os.ErrClosed)
	require.ErrorContains(t, err, "write email <maintenance-request.66f1a0c2e4b0a1d2c3e4f501@plant.test>: ")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

func ExampleRender() {
	m, err := email.Render(email.Notification{
		To:        mail.Address{Name: "Kim Larsen", Address: "kim@plant.test"},
		RequestID: "66f1a0c2e4b0a1d2c3e4f501",
		Subject:   "Belt slips under full load",
		Type:      "corrective",
		Priority:  "high",
		URL:       "https://maintenance.example.com/requests/66f1a0c2e4b0a1d2c3e4f501",
	}, mail.Address{Name: "Maintenance", Address: "maintenance@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.To.String())
	fmt.Println(m.Subject)
	// Output:
	// "Kim Larsen" <kim@plant.test>
	// [High] Corrective maintenance: Belt slips under full load
}
