package follow

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// maxDeliveryNotes bounds the notes about deliveries.
const maxDeliveryNotes = 10

// deliveryNotes says what is remarkable about deliveries: those under way, commands that the mail server refused, and lines
// that end in LF alone. A delivery to several recipients is noted once.
func deliveryNotes(deliveries []harness.Delivery) []string {
	var notes []string
	for _, d := range deliveries {
		for _, note := range notesOf(d) {
			if !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	if n := len(notes); n > maxDeliveryNotes {
		notes = append(notes[:maxDeliveryNotes:maxDeliveryNotes], fmt.Sprintf("%d more like these", n-maxDeliveryNotes))
	}
	return notes
}

func notesOf(d harness.Delivery) []string {
	to := strings.Join(slices.Concat(d.To, d.Refused, d.After), ", ")
	var notes []string
	if d.Open && !d.Accepted {
		note := fmt.Sprintf("the mail server (%s) has taken %d bytes of an email to %s, and has not accepted it for %v",
			d.Server, d.Size, to, text.Elapsed(time.Since(d.Began)))
		if strings.Contains(d.Server, "MailHog") && d.Size >= slowForMailHog {
			note += "; " + mailHogIsSlow
		}
		notes = append(notes, note)
	}
	for i, l := range d.Dialogue {
		switch refused := i > 0 && l.By == "server" && l.Text != "" && (l.Text[0] == '4' || l.Text[0] == '5'); {
		case !refused:
		case len(d.After) > 0 && !isCommand(d.Dialogue[i-1].Text):
			notes = append(notes, fmt.Sprintf("after the email to %s the app sent %s, and the mail server answered %q: "+
				"a line with only a dot ends a message, so a line that begins with a dot needs another one before it (RFC 5321, 4.5.2)",
				to, d.Dialogue[i-1].Text, l.Text))
		case d.Accepted || len(d.After) > 0:
			notes = append(notes, fmt.Sprintf("in the delivery to %s the app sent %s, and the mail server answered %q",
				to, d.Dialogue[i-1].Text, l.Text))
		}
	}
	if d.BareLF > 0 {
		notes = append(notes, fmt.Sprintf("%d lines of the email to %s end in LF alone: other mail servers than a mail catcher "+
			"refuse or change it",
			d.BareLF, to))
	}
	return notes
}

// isCommand reports whether a line begins with a command of SMTP or of its extensions.
func isCommand(line string) bool {
	line = strings.ToUpper(strings.TrimSpace(line))
	verb, more, _ := strings.Cut(line, " ")
	switch verb {
	case "MAIL":
		return strings.HasPrefix(more, "FROM:")
	case "RCPT":
		return strings.HasPrefix(more, "TO:")
	case "DATA", "RSET", "QUIT", "STARTTLS", "NOOP", "HELP":
		return more == ""
	}
	return slices.Contains([]string{"HELO", "EHLO", "AUTH", "BDAT", "VRFY", "EXPN"}, verb) && !strings.Contains(more, " ")
}

// slowForMailHog is the size from which MailHog takes seconds for an email, in bytes.
const slowForMailHog = 256 << 10

// mailHogIsSlow says what to do about a large email.
const mailHogIsSlow = "MailHog's time grows with the square of the size: some 11s for 1 MiB, and 8 MiB do not get through. " +
	"Use Mailpit, which takes 8 MiB within seconds (--mail mailpit; in Go, stack.Options.MailCatcher), or send smaller attachments in tests"
