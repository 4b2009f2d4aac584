// Package inbox reads the emails that a MailHog server has caught, or that are in a Mailpit or an IMAP mailbox: decoded as a mail program would, pushed rather than
// polled, and still quick when there are ten thousand of them.
//
//	box := inbox.New("http://127.0.0.1:8025", inbox.Options{})
//	defer box.Close(ctx)
//
//	m, err := box.Wait(ctx, inbox.Filter{To: "kim@plant.test", RunID: run})
//	fmt.Println(m.Subject, m.Text, m.Header("X-Inngest-Run-Id"))
//
//	err = box.ReadToEnd(ctx)                       // all that the mailbox had accepted by now is known
//	ms, err := box.Find(ctx, inbox.Filter{To: "lee@plant.test"})
//
// A Client keeps an index of what the mailbox holds. Find, List, Count and Get first read what is new: one small request, of
// Mailpit two, when nothing is. The first of them reads the whole inbox, 250 messages a request, at about 0.3 ms a message; of a
// Mailpit each message takes a request of its own. Wait and Watch open the websocket of MailHog or Mailpit and receive a
// message within milliseconds of its delivery. A broken connection is opened again, and the messages missed meanwhile are
// read. A mailbox that is read by IMAP is polled.
//
// The package works around these properties of MailHog v1.0.1:
//   - It returns bodies as sent. Messages are decoded here ([Decode]).
//   - Its pages are not locked against deliveries. They are read with an overlap, and again if they do not fit together.
//   - It searches recipients by substring. Its search is not used.
//   - A lookup by id during a delivery can crash it. Lookups are made only for 8-bit text in charsets other than UTF-8,
//     which nothing else returns intact, and only while nothing is delivered.
//
// And around these of Mailpit v1.33.1:
//   - It puts headers before a message. They are removed.
//   - It keeps no recipients but those in the headers, and adds to Bcc those that none names. Options.Envelope tells the others.
//   - A message that is stored later may be listed as the earlier one. The list is read until all that it counts are found.
//   - A removal beside a delivery leaves the number of messages as it was. Mailpit also counts removals, and if there was one,
//     all of the list is read.
//
// The formats read are those of RFC 5322, 2045–2047, 2231 and 6532, and what senders make of them. docs/email.md compares
// the result with that of other parsers.
package inbox
