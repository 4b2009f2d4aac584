// Package inbox reads the emails that a MailHog server has caught: decoded as a mail program would, pushed rather than
// polled, and still quick when there are ten thousand of them.
//
//	box := inbox.New("http://127.0.0.1:8025", inbox.Options{})
//	defer box.Close(ctx)
//
//	m, err := box.Wait(ctx, inbox.Filter{To: "kim@plant.test", RunID: run})
//	fmt.Println(m.Subject, m.Text, m.Header("X-Inngest-Run-Id"))
//
//	err = box.ReadToEnd(ctx)                       // all that MailHog had accepted by now is known
//	ms, err := box.Find(ctx, inbox.Filter{To: "lee@plant.test"})
//
// A Client keeps an index of what MailHog holds. Whatever asks a question (Find, List, Count, Get) first reads what
// is new, which is one small request when nothing is; the first question reads the whole inbox, 250 messages a request,
// at about 0.3 ms a message. Wait and Watch open MailHog's websocket and learn of a message within a millisecond of its
// delivery; when the connection breaks it is opened again and what was missed is read.
//
// MailHog v1.0.1 has ways of its own, and this package is where they are dealt with: it hands out bodies as sent, so
// messages are decoded here (package [github.com/jhillyerd/enmime/v2] does the MIME part) from the raw text; its pages
// are not locked against deliveries, so they are read with an overlap and again when they do not fit together; it
// searches recipients by substring, so it is not asked to search; its lookup by id meets deliveries unguarded and then
// ends the whole server, so it is used only where nothing else has the bytes (8-bit text in charsets other than UTF-8),
// and between deliveries. The formats read are those of RFC 5322, 2045–2047, 2231 and 6532.
package inbox
