// Package email renders the email that notifies a technician of a maintenance request, and sends it to an SMTP server.
//
// Rendering and sending are separate. Render is a pure function, so the same notification gives the same email, and a
// Message can be inspected, written to a file or sent.
//
//	m, err := email.Render(email.Notification{
//		To:        mail.Address{Name: "Kim Larsen", Address: "kim@plant.test"},
//		RequestID: "66f1a0c2e4b0a1d2c3e4f501",
//		Subject:   "Conveyor belt torn",
//		URL:       "https://maintenance.example.com/requests/66f1a0c2e4b0a1d2c3e4f501",
//	}, mail.Address{Name: "Maintenance", Address: "maintenance@example.com"})
//	...
//	err = smtp.Send(ctx, m)
//	var failed *email.SendError
//	if errors.As(err, &failed) && failed.Permanent {
//		// Permanent: sending it again will not help.
//	}
//
// # The email
//
// Every email has a plain text part and an HTML part with the same content. Text from users is never trusted: Render
// removes control characters, limits its length, isolates its writing direction from the surrounding text (Unicode
// UAX #9) and escapes it, so it cannot add a header, a recipient or markup. The email loads nothing from outside, its
// links are absolute, and the whole message is smaller than the 102 KB at which large webmail services clip.
//
// # Sending
//
// SMTP opens one connection per message. Each phase of the dialogue has a time limit. A failure names its phase, the
// server's reply if there was one, and whether it is permanent.
// Delivery is at least once: if the connection is lost after the message was sent but before the server confirmed it,
// Send returns an error although the message may have arrived. A retry then sends a copy with the same Message-ID, which
// MessageID derives from the request.
//
// Specifications: RFC 5321 (SMTP), RFC 5322 (message format), RFC 2045-2047 (MIME), RFC 3207
// (STARTTLS), RFC 3834 (Auto-Submitted), RFC 4954 (AUTH), RFC 6531 (SMTPUTF8), RFC 8314 (implicit TLS).
package email
