package judge

import (
	"cmp"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/mailcheck"
)

// A mailComparison compares the expected emails with those that were sent.
type mailComparison struct {
	*Judgement
	matched map[*harness.TraceMail]bool // emails that match an entry
}

func (j mailComparison) run() {
	// An entry that asserts more matches fewer emails, so it chooses first. Of two that assert equally much, the one for
	// a single email comes before the one that counts copies.
	wanted := slices.Clone(j.expectation.Mail)
	slices.SortStableFunc(wanted, func(a, b harness.MailExpectation) int { return cmp.Or(assertions(b)-assertions(a), a.Copies-b.Copies) })
	mails := newMatching(pointers(j.trace.Mail), func(i int, m *harness.TraceMail) bool {
		want := wanted[i]
		return !want.Absent && address.In(want.To, m.Envelope.To) && len(j.mailDiffs(want, m)) == 0
	})
	for i, matching := range j.assignMail(wanted, mails) {
		switch want := wanted[i]; {
		case want.Absent:
			j.absent(want)
		case len(matching) > 0:
			j.present(want, matching)
		default:
			j.missing(want)
		}
	}
	for _, m := range mails.items {
		if j.matched[m] || !j.expectation.NoOtherMail {
			continue
		}
		h := j.addHop(1, harness.HopOK, "%s", j.describe(m))
		more := ""
		for i, want := range wanted {
			if want.Copies == 0 && mails.fits(i, m) {
				more = "; it matches an entry that has its one email: to allow more, give their number in copies"
			}
		}
		j.fail(h, false, "there is an email that was not expected: %s%s", j.describe(m), more)
	}
}

// assignMail assigns emails to each entry: one, or to an entry that counts copies all that are left. Where other emails
// are allowed, an entry without a count also gets all matching emails that no other entry has.
func (j mailComparison) assignMail(wanted []harness.MailExpectation, mails *matching[*harness.TraceMail]) [][]*harness.TraceMail {
	assigned := make([][]*harness.TraceMail, len(wanted))
	for i, want := range wanted {
		if want.Copies > 0 {
			assigned[i] = mails.takeRest(i)
		} else {
			mails.assign(i)
		}
	}
	for i, want := range wanted {
		if want.Copies == 0 {
			assigned[i] = mails.of(i)
		}
		if want.Copies == 0 && !j.expectation.NoOtherMail {
			assigned[i] = append(assigned[i], mails.takeRest(i)...)
		}
		for _, m := range assigned[i] {
			j.matched[m] = true
		}
	}
	return assigned
}

// absent compares an entry that allows no email to an address.
func (j mailComparison) absent(want harness.MailExpectation) {
	found := j.trace.MailTo(want.To)
	if len(found) == 0 {
		j.addHop(1, harness.HopOK, "no email to %s", want.To)
		return
	}
	for _, m := range found {
		j.matched[m] = true
		h := j.addHop(1, harness.HopOK, "%s", j.describe(m))
		j.fail(h, false, "there is an email to %s, want none: subject %q", want.To, m.Subject)
	}
}

// present adds the emails that match an entry, and compares their number with its copies.
func (j mailComparison) present(want harness.MailExpectation, emails []*harness.TraceMail) {
	for _, m := range emails {
		h := j.addHop(1, harness.HopOK, "%s", j.describe(m))
		if want.Copies > 0 && len(emails) != want.Copies {
			mendable := len(emails) < want.Copies
			j.fail(h, mendable, "email to %s: there are %d of it, want %d", want.To, len(emails), want.Copies)
		}
	}
}

// missing describes how the most similar email to the entry's address differs from the entry, or adds that there is no
// email left to compare.
func (j mailComparison) missing(want harness.MailExpectation) {
	var nearest *harness.TraceMail
	var diffs []string
	for _, m := range j.trace.MailTo(want.To) {
		if j.matched[m] {
			continue
		}
		if d := j.mailDiffs(want, m); nearest == nil || len(d) < len(diffs) {
			nearest, diffs = m, d
		}
	}
	if nearest == nil {
		j.missingMail(want)
		return
	}
	j.matched[nearest] = true
	h := j.addHop(1, harness.HopOK, "%s", j.describe(nearest))
	for _, d := range diffs {
		j.fail(h, true, "email to %s: %s", want.To, d)
		j.addDetail(h, d)
	}
}

// missingMail shows how far an email that did not arrive got.
func (j mailComparison) missingMail(want harness.MailExpectation) {
	refused := false
	for _, d := range j.trace.Deliveries {
		switch {
		case !address.In(want.To, d.To) && !address.In(want.To, d.Refused):
		case d.Accepted && address.In(want.To, d.To):
			j.addHop(1, harness.HopOK, "the mail server accepted an email to %s at %s", want.To, d.AcceptedAt.Format(clockFormat))
		default:
			refused = true
			j.addDetail(j.addHop(1, harness.HopBroken, "the mail server did not accept an email to %s", want.To), endOfDialogue(d)...)
		}
	}
	h := j.addHop(1, harness.HopPending, "no email to %s", want.To)
	j.fail(h, !j.unsubscribed(), "there is no email to %s", want.To)
	if !refused {
		j.addDetail(h, j.otherMail()...)
	}
}

// otherMail lists the emails that did arrive.
func (j mailComparison) otherMail() []string {
	if len(j.trace.Mail) == 0 && j.trace.OtherMailCount == 0 {
		return []string{"nothing has arrived in the inbox since the event"}
	}
	var lines []string
	for i := range j.trace.Mail {
		lines = append(lines, "this event sent: "+j.describe(&j.trace.Mail[i]))
	}
	if j.trace.OtherMailCount > 0 {
		lines = append(lines, fmt.Sprintf("since the event %d emails of other runs arrived in the inbox, the last of them:", j.trace.OtherMailCount))
		for _, m := range j.trace.OtherMail {
			lines = append(lines, fmt.Sprintf("  to %s: %q", strings.Join(m.To, ", "), text.Clip(j.redact(m.Subject), 80)))
		}
	}
	return lines
}

func (j mailComparison) describe(m *harness.TraceMail) string {
	line := fmt.Sprintf("email to %s: %q", strings.Join(m.Envelope.To, ", "), text.Clip(j.redact(m.Subject), 80))
	if m.Inferred {
		line += " (attributed to this event by recipient and time, not by a header)"
	}
	return line
}

// mailDiffs lists how an email differs from want.
func (j mailComparison) mailDiffs(want harness.MailExpectation, m *harness.TraceMail) []string {
	var diffs []string
	add := func(format string, args ...any) { diffs = append(diffs, fmt.Sprintf(format, args...)) }
	if m.WrongRun != "" {
		add("its header names the run %q, which the Inngest server does not know", text.Clip(m.WrongRun, 80))
	}
	if want.From != "" && !slices.ContainsFunc(m.From, func(a *mail.Address) bool { return address.Same(a.Address, want.From) }) {
		add("it is from %s, want %s", text.Addresses(m.From), want.From)
	}
	if want.Subject != "" && want.Subject != m.Subject {
		add("its subject differs:\n  got  %q\n  want %q", m.Subject, want.Subject)
	}
	for _, part := range want.Text {
		if !strings.Contains(m.Text, part) {
			add("%s", lacks("text", j.redact(m.Text), j.redact(part)))
		}
	}
	for _, part := range want.HTML {
		if !strings.Contains(m.HTML, part) {
			add("%s", lacks("HTML", j.redact(m.HTML), j.redact(part)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want.Headers)) {
		if got := m.HeaderValues(name); !slices.Contains(got, want.Headers[name]) {
			add("its header %s is %q, want %q", name, got, want.Headers[name])
		}
	}
	if want.Golden != "" {
		if j.options.Golden == nil {
			add("golden %q cannot be compared: the judge has no goldens", want.Golden)
		} else if err := j.options.Golden(want.Golden, j.show(m)); err != nil {
			add("%v", err)
		}
	}
	for _, f := range mailcheck.Run(j.show(m).Message, want.Checks, mailcheck.Options{Resolve: j.options.Resolve}) {
		add("check %s", f)
	}
	return diffs
}

// show returns an email without secrets.
func (j mailComparison) show(m *harness.TraceMail) *harness.TraceMail {
	if j.options.Show == nil {
		return m
	}
	return j.options.Show(m)
}

// excerptLines is the number of lines of a body that a difference shows.
const excerptLines = 12

// excerpt returns the beginning of a body.
func excerpt(body string) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(body, "\r\n", "\n")), "\n")
	cut := ""
	if len(lines) > excerptLines {
		cut = fmt.Sprintf("\n  … and %d lines more", len(lines)-excerptLines)
		lines = lines[:excerptLines]
	}
	for i := range lines {
		lines[i] = "  | " + text.Clip(lines[i], 120)
	}
	return strings.Join(lines, "\n") + cut
}

// assertions counts what an entry asserts of an email. An entry that allows no email comes after all others.
func assertions(m harness.MailExpectation) int {
	if m.Absent {
		return -1
	}
	n := len(m.Text) + len(m.HTML) + len(m.Headers) + len(m.Checks)
	for _, asserted := range []bool{m.From != "", m.Subject != "", m.Golden != ""} {
		if asserted {
			n++
		}
	}
	return n
}

// clockFormat is how the time of an SMTP line is printed.
const clockFormat = "15:04:05.000"

// endOfDialogue returns the last lines of an SMTP dialogue, which say why a delivery failed.
func endOfDialogue(d harness.Delivery) []string {
	const enough = 4
	var lines []string
	for _, l := range d.Dialogue[max(0, len(d.Dialogue)-enough):] {
		lines = append(lines, fmt.Sprintf("%s %-6s %s", l.At.Format(clockFormat), l.By, l.Text))
	}
	if d.Err != "" {
		lines = append(lines, d.Err)
	}
	for _, f := range d.Faults {
		lines = append(lines, "scripted fault: "+f)
	}
	return lines
}
