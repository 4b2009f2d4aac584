package harness

import (
	"cmp"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

// checkMail holds the expected emails against those that were sent, which comes after the runs: an email is the last
// hop.
func (c *checker) checkMail() {
	// The more an entry says, the fewer emails it can stand for: it chooses first, in whatever order they are written.
	// Of those that say as much, one that stands for a single email comes before one that counts all there are.
	wanted := slices.Clone(c.e.Mail)
	slices.SortStableFunc(wanted, func(a, b MailExpectation) int { return cmp.Or(b.demands()-a.demands(), a.Copies-b.Copies) })
	mails := newPairing(pointers(c.t.Mail), func(i int, m *TraceMail) bool {
		want := wanted[i]
		return !want.Absent && sameAddress(want.To, m.Envelope.To) && len(c.mailDiffs(want, m)) == 0
	})
	for i, like := range c.assignMail(wanted, mails) {
		switch want := wanted[i]; {
		case want.Absent:
			c.absent(want)
		case len(like) > 0:
			c.present(want, like)
		default:
			c.missing(want)
		}
	}
	for _, m := range mails.things {
		if c.mails[m] || !c.e.NoOtherMail {
			continue
		}
		h := c.hop(1, HopOK, "%s", c.describe(m))
		more := ""
		for i, want := range wanted {
			if want.Copies == 0 && mails.fits(i, m) {
				more = "; an entry describes it, which stands for one email and has one: to allow more, say how many with copies"
			}
		}
		c.fail(h, false, "there is an email that was not expected: %s%s", c.describe(m), more)
	}
}

// assignMail says which emails each entry stands for: one, or, of an entry that counts copies, all that are left. Where
// other emails are allowed, an entry without a count stands for those as well that are like its own and nobody else's.
func (c *checker) assignMail(wanted []MailExpectation, mails *pairing[*TraceMail]) [][]*TraceMail {
	assigned := make([][]*TraceMail, len(wanted))
	for i, want := range wanted {
		if want.Copies > 0 {
			assigned[i] = mails.takeAll(i)
		} else {
			mails.give(i)
		}
	}
	for i, want := range wanted {
		if want.Copies == 0 {
			assigned[i] = mails.of(i)
		}
		if want.Copies == 0 && !c.e.NoOtherMail {
			assigned[i] = append(assigned[i], mails.takeAll(i)...)
		}
		for _, m := range assigned[i] {
			c.mails[m] = true
		}
	}
	return assigned
}

// absent asserts that no email went to an address. It is settled by the first one, else when nothing more can happen.
func (c *checker) absent(want MailExpectation) {
	found := c.t.mailTo(want.To)
	if len(found) == 0 {
		c.hop(1, HopOK, "no email to %s", want.To)
		return
	}
	for _, m := range found {
		c.mails[m] = true
		h := c.hop(1, HopOK, "%s", c.describe(m))
		c.fail(h, false, "there is an email to %s, want none: subject %q", want.To, m.Subject)
	}
}

// present shows the emails that an entry stands for, and whether they are as many copies as it says.
func (c *checker) present(want MailExpectation, like []*TraceMail) {
	for _, m := range like {
		h := c.hop(1, HopOK, "%s", c.describe(m))
		if want.Copies > 0 && len(like) != want.Copies {
			// Too few may become enough; too many stay too many.
			c.fail(h, len(like) < want.Copies, "email to %s: there are %d of it, want %d", want.To, len(like), want.Copies)
		}
	}
}

// missing says how the email that comes nearest to an entry differs from it, or that there is none to its address that
// is not another entry's.
func (c *checker) missing(want MailExpectation) {
	var nearest *TraceMail
	var diffs []string
	for _, m := range c.t.mailTo(want.To) {
		if c.mails[m] {
			continue
		}
		if d := c.mailDiffs(want, m); nearest == nil || len(d) < len(diffs) {
			nearest, diffs = m, d
		}
	}
	if nearest == nil {
		c.missingMail(want)
		return
	}
	c.mails[nearest] = true
	h := c.hop(1, HopOK, "%s", c.describe(nearest))
	for _, d := range diffs {
		c.fail(h, true, "email to %s: %s", want.To, d)
		c.detail(h, d)
	}
}

// missingMail says how far an email that is not there has come.
func (c *checker) missingMail(want MailExpectation) {
	refused := false
	for _, d := range c.t.Deliveries {
		switch {
		case !sameAddress(want.To, d.To) && !sameAddress(want.To, d.Refused):
		case d.Accepted && sameAddress(want.To, d.To):
			c.hop(1, HopOK, "the mail server accepted an email to %s at %s", want.To, d.AcceptedAt.Format(clock))
		default:
			refused = true
			c.detail(c.hop(1, HopBroken, "the mail server did not accept an email to %s", want.To), d.lastWords()...)
		}
	}
	h := c.hop(1, HopPending, "no email to %s", want.To)
	c.fail(h, !c.unheard(), "there is no email to %s", want.To)
	if !refused {
		c.detail(h, c.insteadOf()...)
	}
}

// insteadOf lists the emails that are there.
func (c *checker) insteadOf() []string {
	if len(c.t.Mail) == 0 && c.t.OtherMailCount == 0 {
		return []string{"nothing has arrived in the inbox since the event"}
	}
	var lines []string
	for i := range c.t.Mail {
		lines = append(lines, "this event sent: "+c.describe(&c.t.Mail[i]))
	}
	if c.t.OtherMailCount > 0 {
		lines = append(lines, fmt.Sprintf("since the event the inbox got %d of something else, the last of them:", c.t.OtherMailCount))
		for _, m := range c.t.OtherMail {
			lines = append(lines, fmt.Sprintf("  to %s: %q", strings.Join(m.To, ", "), shorten(c.redact(m.Subject), 80)))
		}
	}
	return lines
}

func (c *checker) describe(m *TraceMail) string {
	text := fmt.Sprintf("email to %s: %q", strings.Join(m.Envelope.To, ", "), shorten(c.redact(m.Subject), 80))
	if m.Inferred {
		text += " (tied to this event by recipient and time, not by a header)"
	}
	return text
}

// mailDiffs lists how an email is not like want.
func (c *checker) mailDiffs(want MailExpectation, m *TraceMail) []string {
	var diffs []string
	add := func(format string, args ...any) { diffs = append(diffs, fmt.Sprintf(format, args...)) }
	if m.WrongRun != "" {
		add("the run that its header names, %q, is none that the Inngest server knows", shorten(m.WrongRun, 80))
	}
	if want.From != "" && !slices.ContainsFunc(m.From, func(a *mail.Address) bool { return strings.EqualFold(a.Address, want.From) }) {
		add("it is from %s, want %s", addresses(m.From), want.From)
	}
	if want.Subject != "" && want.Subject != m.Subject {
		add("its subject differs:\n  got  %q\n  want %q", m.Subject, want.Subject)
	}
	for _, piece := range want.Text {
		if !strings.Contains(m.Text, piece) {
			add("%s", lacks("text", c.redact(m.Text), c.redact(piece)))
		}
	}
	for _, piece := range want.HTML {
		if !strings.Contains(m.HTML, piece) {
			add("%s", lacks("HTML", c.redact(m.HTML), c.redact(piece)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want.Headers)) {
		if got := m.HeaderValues(name); !slices.Contains(got, want.Headers[name]) {
			add("its header %s is %q, want %q", name, got, want.Headers[name])
		}
	}
	if want.Golden != "" {
		if c.o.Golden == nil {
			add("golden %q cannot be compared: the judge was given no goldens", want.Golden)
		} else if err := c.o.Golden(want.Golden, c.shown(m)); err != nil {
			add("%v", err)
		}
	}
	for _, f := range mailcheck.Run(c.shown(m).Message, want.Checks, mailcheck.Options{Resolve: c.o.Resolve}) {
		add("check %s", f)
	}
	return diffs
}

// shown is an email as others may see it.
func (c *checker) shown(m *TraceMail) *TraceMail {
	if c.o.show == nil {
		return m
	}
	return c.o.show(m)
}

// excerptLines is how many lines of a body a message shows.
const excerptLines = 12

func excerpt(text string) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")), "\n")
	cut := ""
	if len(lines) > excerptLines {
		cut = fmt.Sprintf("\n  … and %d lines more", len(lines)-excerptLines)
		lines = lines[:excerptLines]
	}
	for i := range lines {
		lines[i] = "  | " + shorten(lines[i], 120)
	}
	return strings.Join(lines, "\n") + cut
}
