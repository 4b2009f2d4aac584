package judge

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
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
	matched map[received]bool // emails that match an entry
}

// received is an email as one of its recipients gets it. A message with several recipients is one email to each.
type received struct {
	*harness.TraceMail
	to string
}

// allReceived returns the emails of the trace. A recipient that a message names twice gets it once.
func (j mailComparison) allReceived() []received {
	var all []received
	for i := range j.trace.Mail {
		m := &j.trace.Mail[i]
		for n, to := range m.Envelope.To {
			if !address.In(to, m.Envelope.To[:n]) {
				all = append(all, received{m, to})
			}
		}
	}
	return all
}

// receivedBy returns the emails to an address.
func (j mailComparison) receivedBy(to string) []received {
	return slices.DeleteFunc(j.allReceived(), func(m received) bool { return !address.Same(m.to, to) })
}

func (j mailComparison) run() {
	// An entry that asserts more matches fewer emails, so it chooses first. Of two that assert equally much, the one for
	// a single email comes before the one that counts copies. An entry that allows no email comes last.
	wanted := slices.Clone(j.expectation.Mail)
	assertions := func(m harness.MailExpectation) int {
		if m.Absent {
			return -1
		}
		return m.Assertions()
	}
	slices.SortStableFunc(wanted, func(a, b harness.MailExpectation) int { return cmp.Or(assertions(b)-assertions(a), a.Copies-b.Copies) })
	mails := newMatching(j.allReceived(), func(i int, m received) bool {
		want := wanted[i]
		return !want.Absent && address.Same(want.To, m.to) && len(j.mailDiffs(want, m).all) == 0
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
		j.exceed(h, "there is an email that was not expected: %s%s", j.describe(m), more)
	}
}

// assignMail assigns emails to each entry: one, or as many as its copies. An entry that counts copies then gets all that
// are left and match, too. Where other emails are allowed, so does an entry without a count. What the addresses in Cc and
// Bcc of an entry get is expected with its email.
func (j mailComparison) assignMail(wanted []harness.MailExpectation, mails *matching[received]) [][]received {
	assigned := make([][]received, len(wanted))
	for i, want := range wanted {
		for n := 0; n < max(1, want.Copies) && mails.assign(i); n++ {
		}
	}
	rest := func(i int) {
		assigned[i] = append(mails.of(i), mails.takeRest(i)...)
	}
	for i, want := range wanted {
		if want.Copies > 0 {
			rest(i)
		}
	}
	for i, want := range wanted {
		switch {
		case want.Copies > 0:
		case j.expectation.NoOtherMail:
			assigned[i] = mails.of(i)
		default:
			rest(i)
		}
		for _, m := range assigned[i] {
			j.matched[m] = true
		}
	}
	for i, want := range wanted {
		for _, m := range assigned[i] {
			for _, to := range slices.Concat(want.Cc, want.Bcc) {
				if one := mails.takeOne(func(o received) bool { return address.Same(o.to, to) && o.sameMail(m) }); one != nil {
					j.matched[*one] = true
				}
			}
		}
	}
	return assigned
}

// sameMail reports whether two emails are one message to two recipients, sent at once or one after the other.
func (m received) sameMail(o received) bool {
	return m.Message == o.Message || m.MessageID != "" && m.MessageID == o.MessageID
}

// absent compares an entry that allows no email to an address.
func (j mailComparison) absent(want harness.MailExpectation) {
	found := j.receivedBy(want.To)
	if len(found) == 0 {
		j.addHop(1, harness.HopOK, "no email to %s", want.To)
		return
	}
	for _, m := range found {
		j.matched[m] = true
		h := j.addHop(1, harness.HopOK, "%s", j.describe(m))
		j.exceed(h, "there is an email to %s, want none: subject %q", want.To, m.Subject)
	}
}

// present adds the emails that match an entry, and compares their number with its copies and their Message-IDs.
func (j mailComparison) present(want harness.MailExpectation, emails []received) {
	ids := map[string]bool{}
	for _, m := range emails {
		h := j.addHop(1, harness.HopOK, "%s", j.describe(m))
		if want.Copies > 0 && len(emails) != want.Copies {
			const differs = "email to %s: there are %d of it, want %d"
			if len(emails) > want.Copies {
				j.exceed(h, differs, want.To, len(emails), want.Copies)
			} else {
				j.fail(h, true, differs, want.To, len(emails), want.Copies)
				j.remediable(remedy{to: want.To})
			}
		}
		switch ids[m.MessageID] = true; {
		case !want.SameMessageID:
		case m.MessageID == "":
			j.fail(h, false, "email to %s: it has no Message-ID, so nothing says that its copies are one email", want.To)
		case len(ids) > 1:
			j.fail(h, false, "email to %s: its Message-ID is %s, another one than that of the first, %s", want.To, m.MessageID, emails[0].MessageID)
		}
	}
}

// missing describes how the most similar email to the entry's address differs from the entry, or adds that there is no
// email left to compare.
func (j mailComparison) missing(want harness.MailExpectation) {
	var nearest received
	diffs := &mailDiffs{}
	for _, m := range j.receivedBy(want.To) {
		if j.matched[m] {
			continue
		}
		if d := j.mailDiffs(want, m); nearest.TraceMail == nil || len(d.all) < len(diffs.all) {
			nearest, diffs = m, d
		}
	}
	if nearest.TraceMail == nil {
		j.missingMail(want)
		return
	}
	j.matched[nearest] = true
	h := j.addHop(1, harness.HopOK, "%s", j.describe(nearest))
	for _, d := range diffs.all {
		j.fail(h, !diffs.final(), "email to %s: %s", want.To, d)
		j.remediable(remedy{to: want.To})
		j.addDetail(h, d)
	}
}

// missingMail shows how far an email that did not arrive got.
func (j mailComparison) missingMail(want harness.MailExpectation) {
	explained := false
	for _, d := range j.trace.Deliveries {
		switch {
		case !address.In(want.To, d.To) && !address.In(want.To, d.Refused):
		case d.Accepted && address.In(want.To, d.To):
			h := j.addHop(1, harness.HopOK, "the mail server accepted an email to %s at %s", want.To, d.AcceptedAt.Format(clockFormat))
			if d.Forgotten {
				explained = true
				j.addDetail(h, "it has ended since, and no longer shows what it had accepted")
			}
		case d.Open:
			explained = true
			j.addHop(1, harness.HopPending, "an email to %s is on its way to the mail server (%s), which has taken %d bytes of it", want.To, d.Server, d.Size)
		default:
			explained = true
			j.addDetail(j.addHop(1, harness.HopBroken, "the mail server did not accept an email to %s", want.To), endOfDialogue(d, want.To)...)
		}
	}
	hop, difference := "no email to %s", "there is no email to %s"
	if len(j.receivedBy(want.To)) > 0 {
		hop, difference = "no further email to %s", "there is no further email to %s"
	}
	h := j.addHop(1, harness.HopPending, hop, want.To)
	j.fail(h, !j.unsubscribed(), difference, want.To)
	j.remediable(remedy{to: want.To})
	if !explained {
		j.addDetail(h, j.otherMail()...)
	}
}

// otherMail lists the emails that did arrive.
func (j mailComparison) otherMail() []string {
	mails := j.allReceived()
	if len(mails) == 0 && j.trace.OtherMailCount == 0 {
		return []string{"nothing has arrived in the inbox since the event"}
	}
	var lines []string
	for _, m := range mails {
		lines = append(lines, "this event sent: "+j.describe(m))
	}
	if j.trace.OtherMailCount > 0 {
		lines = append(lines, fmt.Sprintf("since the event %d emails of other runs arrived in the inbox, the last of them:", j.trace.OtherMailCount))
		for _, m := range j.trace.OtherMail {
			lines = append(lines, fmt.Sprintf("  to %s: %q", strings.Join(m.To, ", "), text.Clip(j.redact(m.Subject), 80)))
		}
	}
	return lines
}

func (j mailComparison) describe(m received) string {
	var notes []string
	if !listed(m.to, m.To, m.Cc) {
		notes = append(notes, "in the envelope, in no header")
	}
	if m.Inferred {
		notes = append(notes, "attributed to this event by recipient and time, not by a header")
	}
	line := fmt.Sprintf("email to %s: %q", m.to, text.Clip(j.redact(m.Subject), 80))
	if len(notes) > 0 {
		line += " (" + strings.Join(notes, "; ") + ")"
	}
	return line
}

// listed reports whether an address is in the lists of a header.
func listed(to string, lists ...[]*mail.Address) bool {
	return slices.ContainsFunc(slices.Concat(lists...), func(a *mail.Address) bool { return address.Same(a.Address, to) })
}

// mailDiffs tells how an email differs from want, as do the copies that other recipients got one after the other.
func (j mailComparison) mailDiffs(want harness.MailExpectation, m received) *mailDiffs {
	d := j.diffsOfOne(want, m)
	for _, o := range j.allReceived() {
		if o.Message != m.Message && o.sameMail(m) && address.In(o.to, slices.Concat(want.Cc, want.Bcc)) {
			for _, diff := range j.diffsOfOne(want, o).all {
				d.add("what %s got under its Message-ID: %s", o.to, diff)
			}
		}
	}
	return d
}

func (j mailComparison) diffsOfOne(want harness.MailExpectation, m received) *mailDiffs {
	d := &mailDiffs{redact: j.redact}
	if m.WrongRun != "" {
		d.add("its header names the run %q, which the Inngest server does not know", text.Clip(m.WrongRun, 80))
	}
	if want.From != "" && !listed(want.From, m.From) {
		d.add("it is from %s, want %s", text.Addresses(m.From), want.From)
	}
	d.match("sender in the envelope", want.EnvelopeFrom, m.Envelope.From)
	d.addresses("its header Cc lists", want.Cc, plainAddresses(m.Cc))
	d.addresses("its header Reply-To lists", want.ReplyTo, plainAddresses(m.ReplyTo))
	var unlisted []string
	for _, o := range j.allReceived() {
		if o.sameMail(m) && !listed(o.to, m.To, m.Cc) && !listed(o.to, o.To, o.Cc) {
			unlisted = append(unlisted, o.to)
		}
	}
	d.addresses("in the envelope and in no header are", want.Bcc, unlisted)
	for _, to := range want.Cc {
		if !slices.ContainsFunc(j.receivedBy(to), m.sameMail) {
			d.add("it was not sent to %s, which its header Cc should list", to)
		}
	}
	for _, to := range want.Bcc {
		own := len(m.Envelope.To) == 1 && address.Same(to, m.Envelope.To[0]) // a copy that no other recipient sees
		if !own && slices.ContainsFunc(m.HeaderValues("Bcc"), func(v string) bool { return address.In(to, words(v)) }) {
			d.add("its header Bcc lists %s, so every recipient can see it", to)
		}
	}
	d.match("subject", want.Subject, m.Subject)
	d.match("text", want.Text, m.Text)
	d.match("HTML", want.HTML, m.HTML)
	for _, name := range slices.Sorted(maps.Keys(want.Headers)) {
		d.header(name, want.Headers[name], m.HeaderValues(name))
	}
	d.files("attachment", want.Attachments, m.Attachments, want.NoOtherFiles)
	d.files("inline part", want.Inlines, m.Inlines, want.NoOtherFiles)
	if want.Calendar != "" {
		d.calendar(want.Calendar, m.Files())
	}
	if want.Problems == harness.NoProblems && len(m.Problems) > 0 {
		d.add("it is malformed: %s", j.redact(strings.Join(m.Problems, "; ")))
	}
	if want.Golden != "" {
		if j.options.Golden == nil {
			d.noGolden = true
			d.add("golden %q cannot be compared: the judge has no goldens", want.Golden)
		} else if err := j.options.Golden(want.Golden, j.show(m.TraceMail)); err != nil {
			d.noGolden = errors.Is(err, fs.ErrNotExist)
			d.add("%v", err)
		}
	}
	// The email as it was sent, secrets and source included: a finding is redacted.
	for _, f := range mailcheck.Run(m.Message, want.Checks, mailcheck.Options{Resolve: j.options.Resolve}) {
		d.add("check %s", j.redact(f.String()))
	}
	return d
}

// words divides a list of addresses, as it stands in a header, into what may be an address.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;<>", r) })
}

// show returns an email without secrets.
func (j mailComparison) show(m *harness.TraceMail) *harness.TraceMail {
	if j.options.Show == nil {
		return m
	}
	return j.options.Show(m)
}

// clockFormat is how the time of an SMTP line is printed.
const clockFormat = "15:04:05.000"

// endOfDialogue returns the lines of an SMTP dialogue that say why a delivery to an address failed: the last ones, or, where
// the server refused the address and went on, what it said to that.
func endOfDialogue(d harness.Delivery, to string) []string {
	const enough = 4
	line := func(l harness.SMTPLine) string {
		return fmt.Sprintf("%s %-6s %s", l.At.Format(clockFormat), l.By, l.Text)
	}
	shown := d.Dialogue[max(0, len(d.Dialogue)-enough):]
	asked := slices.IndexFunc(d.Dialogue, func(l harness.SMTPLine) bool {
		return strings.HasPrefix(strings.ToUpper(l.Text), "RCPT ") && slices.ContainsFunc(words(l.Text), func(w string) bool { return address.Same(w, to) })
	})
	if asked >= 0 && address.In(to, d.Refused) && d.Accepted {
		if next := d.Dialogue[min(asked+1, len(d.Dialogue)-1)]; next.By != "app" { // it answered at once
			return []string{line(d.Dialogue[asked]), line(next)}
		}
		refusals := slices.DeleteFunc(slices.Clone(d.Dialogue[asked+1:]), func(l harness.SMTPLine) bool {
			return l.By == "app" || !strings.HasPrefix(l.Text, "4") && !strings.HasPrefix(l.Text, "5")
		})
		shown = append([]harness.SMTPLine{d.Dialogue[asked]}, refusals[:min(len(refusals), enough)]...)
	}
	var lines []string
	for _, l := range shown {
		lines = append(lines, line(l))
	}
	if d.Err != "" {
		lines = append(lines, d.Err)
	}
	for _, f := range d.Faults {
		lines = append(lines, "scripted fault: "+f)
	}
	return lines
}
