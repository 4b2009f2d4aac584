// Package email renders the notification that tells a technician about a maintenance request, and
// hands it to an SMTP server.
//
// Rendering and sending are apart: Render is a pure function of the notification, so the same
// notification gives the same email, and a Message can be looked at, written to a file or sent.
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
//		// Trying again will not help: the server has said no for good.
//	}
//
// # The email
//
// Every email has a plain text part and an HTML part that say the same, made from the same data. Whatever people typed is
// data: it is cleaned of control characters, bounded, isolated from the direction of the text around
// it (Unicode UAX #9), and escaped, so that it can add no header, recipient or markup. Nothing is loaded from outside, links are
// absolute, and the whole message stays under the 102 KB at which large webmailers clip.
//
// # Sending
//
// SMTP keeps no connection between messages. Each phase of the dialogue has a time limit, and a failure says in
// which phase it happened, whether the server refused, and whether it refused for good.
// Delivery is at least once: a connection lost after the message was handed over, before the server
// confirmed it, is reported as a failure although the message may have arrived. The copy that a
// retry then sends has the same Message-ID, which MessageID derives from the request.
//
// Specifications followed: RFC 5321 (SMTP), RFC 5322 (message format), RFC 2045-2047 (MIME), RFC 3207
// (STARTTLS), RFC 3834 (Auto-Submitted), RFC 4954 (AUTH), RFC 6531 (SMTPUTF8), RFC 8314 (implicit TLS).
package email
