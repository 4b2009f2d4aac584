package email_test

import (
	"bufio"
	"bytes"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
)

// No text adds a header, a recipient, a part or markup, and no text makes the message too long.
func FuzzRender(f *testing.F) {
	for _, r := range append(fixtures.Requests(), fixtures.HostileRequests()...) {
		if len(r.Body) < 1000 { // long seeds slow the fuzzer down; times makes texts long
			f.Add(r.Field("subject"), r.Field("description"), r.Field("type"), r.Field("scheduledFor"), "kim@plant.test", uint16(1))
		}
	}
	for _, u := range fixtures.HostileWorld().Users {
		f.Add(u.Name, u.Name, u.Role, u.Name, u.Email, uint16(3))
	}
	f.Add("a\r\nBcc: x@y.z", "\r\n.\r\n", "=?utf-8?q?x?=", "<!--", "a@b>\r\nBcc: <c@d", uint16(60_000))

	known := markup(f, render(f, everything()).HTML)
	f.Fuzz(func(t *testing.T, subject, description, label, name, address string, times uint16) {
		n := everything()
		n.Subject, n.Type, n.Priority = subject, label, label
		n.Description = strings.Repeat(description, min(int(times), 200_000/(len(description)+1)))
		n.Equipment, n.Requester, n.Technician, n.To.Name = name, name, name, name
		n.RequestID, n.RunID, n.MessageID = "r"+label, name, ""
		n.To.Address = address
		m, err := email.Render(n, sender)
		if err != nil {
			n.To.Address = "kim@plant.test" // only an address can be refused, never a text
			m = render(t, n)
		}
		data := raw(t, m)
		require.Less(t, len(data), 102_000)

		header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(data))).ReadMIMEHeader()
		require.NoError(t, err)
		for name, values := range header {
			require.Contains(t, headerNames, name)
			require.Len(t, values, 1, name)
		}
		for _, value := range m.Headers {
			require.NotContains(t, value, "\n")
		}

		e := parseMessage(t, data)
		to, err := mail.ParseAddressList(header.Get("To"))
		require.NoError(t, err)
		require.Len(t, to, 1)
		require.Equal(t, m.To.Address, to[0].Address)
		require.Empty(t, e.Attachments)
		require.Empty(t, e.Inlines)
		require.Empty(t, e.OtherParts)
		require.Equal(t, "text/plain", e.Root.FirstChild.ContentType)
		require.Equal(t, "text/html", e.Root.FirstChild.NextSibling.ContentType)
		require.Nil(t, e.Root.FirstChild.NextSibling.NextSibling, "a third part")
		require.Equal(t, m.Text, strings.ReplaceAll(e.Text, "\r\n", "\n"))

		for _, tag := range markup(t, e.HTML) {
			require.Contains(t, known, tag)
		}
	})
}

var headerNames = []string{
	"Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "Importance", "Message-Id", "Mime-Version",
	"Subject", "To", "X-Auto-Response-Suppress", "X-Inngest-Run-Id", "X-Maintenance-Request-Id",
}

// everything returns a notification that makes use of the whole template.
func everything() email.Notification {
	n := notification()
	n.Type, n.Priority = "other", "other" // neutral, like most inputs of the fuzzer
	n.Date = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	n.Description = strings.Repeat("one\ntwo\n\n", 20_000)
	return n
}

// markup lists every element of a document with its attributes, once.
func markup(t testing.TB, document string) []string {
	t.Helper()
	var all []string
	for n := range parse(t, document).Descendants() {
		if n.Type == html.CommentNode {
			all = append(all, "<!--"+n.Data+"-->")
		}
		if n.Type != html.ElementNode {
			continue
		}
		tag := "<" + n.Data
		for _, a := range n.Attr {
			value := a.Val
			if a.Key == "style" && strings.Contains(n.Parent.Data, "td") && n.Data == "span" {
				value = strings.Split(value, "background:")[0] // the colours of the known types and priorities
			}
			tag += " " + a.Key + "=" + value
		}
		all = append(all, tag+">")
	}
	slices.Sort(all)
	return slices.Compact(all)
}
