package judge

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/address"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// mailDiffs collects how an email differs from what is expected.
type mailDiffs struct {
	all      []string
	noGolden bool // the golden is missing
	redact   func(string) string
}

// final reports whether no other email can match in this one's place: it lacks nothing but the golden, which no email brings.
func (d *mailDiffs) final() bool { return d.noGolden && len(d.all) == 1 }

func (d *mailDiffs) add(format string, args ...any) {
	d.all = append(d.all, fmt.Sprintf(format, args...))
}

// match compares a text of the email. what names it, as in "subject".
func (d *mailDiffs) match(what string, want harness.Match, got string) {
	switch {
	case want.Absent && got != "":
		d.add("it has a %s, want none: %s", what, d.quote(got))
	case want.Present && got == "":
		d.add("it has no %s", what)
	}
	for _, miss := range misses(want, got) {
		d.add("%s", d.explain(what, miss, got))
	}
}

// header compares the values of a header. One of them must be as expected.
func (d *mailDiffs) header(name string, want harness.Match, got []string) {
	quoted := d.redact(fmt.Sprintf("%q", got))
	switch {
	case want.Absent && len(got) > 0:
		d.add("it has the header %s, want none: %s", name, quoted)
	case !want.Absent && len(got) == 0:
		d.add("it has no header %s", name)
	case len(got) > 0 && !slices.ContainsFunc(got, func(v string) bool { return len(misses(want, v)) == 0 }):
		d.add("its header %s is %s, want %s", name, quoted, d.redact(describe(misses(want, got[0])...)))
	}
}

// addresses compares a list of addresses with the expected one, in any sequence.
func (d *mailDiffs) addresses(what string, want, got []string) {
	key := func(list []string) []string {
		keys := make([]string, len(list))
		for i, a := range list {
			keys[i] = address.Key(a)
		}
		slices.Sort(keys)
		return slices.Compact(keys)
	}
	if len(want) > 0 && !slices.Equal(key(want), key(got)) {
		d.add("%s %s, want %s", what, cmp.Or(strings.Join(got, ", "), "no addresses"), strings.Join(want, ", "))
	}
}

func plainAddresses(list []*mail.Address) []string {
	var plain []string
	for _, a := range list {
		plain = append(plain, a.Address)
	}
	return plain
}

// files compares the files of one kind, each entry with a file of its own.
func (d *mailDiffs) files(kind string, want []harness.FileExpectation, got []harness.Part, noOthers bool) {
	files := newMatching(pointers(got), func(i int, p *harness.Part) bool { return len(d.fileDiffs(want[i], p)) == 0 })
	for i := range want {
		files.assign(i)
	}
	differ := map[*harness.Part]bool{}
	for i, w := range want {
		if len(files.of(i)) > 0 {
			continue
		}
		var nearest *harness.Part
		var diffs, others []string
		for _, p := range files.items {
			if files.assigned(p) {
				continue
			}
			others = append(others, strconv.Quote(p.Name))
			if now := d.fileDiffs(w, p); len(misses(w.Name, p.Name)) == 0 && (nearest == nil || len(now) < len(diffs)) {
				nearest, diffs = p, now
			}
		}
		switch {
		case nearest != nil:
			differ[nearest] = true
			d.add("its %s %q differs: %s", kind, nearest.Name, strings.Join(diffs, "; "))
		case len(others) > 0:
			d.add("it has no %s %s, but %s", kind, describeFile(w), strings.Join(others, ", "))
		default:
			d.add("it has no %s, or no further one, want %s", kind, describeFile(w))
		}
	}
	for _, p := range files.items {
		if noOthers && !files.assigned(p) && !differ[p] {
			d.add("it has an %s that was not expected: %q (%s, %d bytes)", kind, p.Name, p.ContentType, len(p.Data))
		}
	}
}

// fileDiffs lists how a file differs from want.
func (d *mailDiffs) fileDiffs(want harness.FileExpectation, p *harness.Part) []string {
	in := &mailDiffs{redact: d.redact}
	in.match("name", want.Name, p.Name)
	if want.Type != "" && !strings.EqualFold(want.Type, p.ContentType) {
		in.add("its type is %s, want %s", p.ContentType, want.Type)
	}
	if want.Size != 0 && want.Size != len(p.Data) {
		in.add("it has %d bytes, want %d", len(p.Data), want.Size)
	}
	if sum := sha256.Sum256(p.Data); want.SHA256 != "" && !strings.EqualFold(want.SHA256, hex.EncodeToString(sum[:])) {
		in.add("its sha256 is %x, want %s", sum, want.SHA256)
	}
	if !want.Text.IsZero() {
		content := p.Text
		if !strings.HasPrefix(p.ContentType, "text/") { // such as application/json
			content = string(bytes.ReplaceAll(p.Data, []byte("\r\n"), []byte("\n")))
		}
		in.match("text", want.Text, content)
	}
	return in.all
}

func describeFile(f harness.FileExpectation) string {
	return cmp.Or(describe(requirements(f.Name)...), f.Type, "one")
}

// calendarMethod finds the method in calendar data (RFC 5545).
var calendarMethod = regexp.MustCompile(`(?mi)^METHOD:[ \t]*([^\s;]+)`)

// calendar compares the method of the invitation.
func (d *mailDiffs) calendar(want string, files []harness.Part) {
	i := slices.IndexFunc(files, func(p harness.Part) bool { return p.ContentType == "text/calendar" })
	if i < 0 {
		d.add("it has no part of the type text/calendar, want an invitation with the method %s", want)
		return
	}
	inData := ""
	if found := calendarMethod.FindSubmatch(files[i].Data); found != nil {
		inData = string(found[1])
	}
	if !strings.EqualFold(want, files[i].CalendarMethod) || !strings.EqualFold(want, inData) {
		d.add("the method of its calendar is %q in the type of the part and %q in the data, want %s: mail programs need both",
			files[i].CalendarMethod, inData, want)
	}
}

// A requirement is one thing that a Match says of a text.
type requirement struct{ kind, value string }

// requirements lists what a Match says of a text that there is.
func requirements(m harness.Match) []requirement {
	var all []requirement
	if m.Equals != nil {
		all = append(all, requirement{"equals", *m.Equals})
	}
	for _, part := range m.Contains {
		all = append(all, requirement{"contains", part})
	}
	if m.Matches != "" {
		all = append(all, requirement{"matches", m.Matches})
	}
	return all
}

// misses lists the requirements that a text does not meet.
func misses(m harness.Match, got string) []requirement {
	return slices.DeleteFunc(requirements(m), func(r requirement) bool {
		switch r.kind {
		case "equals":
			return got == r.value
		case "contains":
			return strings.Contains(got, r.value)
		default:
			expression, err := regexp.Compile(r.value)
			return err == nil && expression.MatchString(got)
		}
	})
}

// describe says what is required.
func describe(all ...requirement) string {
	var texts []string
	for _, r := range all {
		switch r.kind {
		case "equals":
			texts = append(texts, fmt.Sprintf("%q", r.value))
		case "contains":
			texts = append(texts, fmt.Sprintf("one with %q", r.value))
		default:
			texts = append(texts, fmt.Sprintf("one that matches %q", r.value))
		}
	}
	return strings.Join(texts, " and ")
}

// explain says how a text misses a requirement.
func (d *mailDiffs) explain(what string, r requirement, got string) string {
	want, got := d.redact(r.value), d.redact(got)
	switch {
	case r.kind == "contains":
		return lacks(what, got, want)
	case r.kind == "matches":
		return fmt.Sprintf("its %s does not match %q; it reads:\n%s", what, want, excerpt(got))
	case strings.Contains(got+want, "\n"):
		return fmt.Sprintf("its %s differs (- expected, + email):\n%s", what, contrast(want, got))
	default:
		return fmt.Sprintf("its %s differs:\n  got  %q\n  want %q", what, got, want)
	}
}

func (d *mailDiffs) quote(s string) string { return fmt.Sprintf("%q", text.Clip(d.redact(s), 200)) }

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
