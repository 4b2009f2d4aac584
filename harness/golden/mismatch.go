package golden

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/textdiff"
)

const howToUpdate = "by running the test again with " + UpdateVariable + "=1"

// MissingError says that there is no golden of a name. It matches fs.ErrNotExist.
type MissingError struct {
	Name string
	Dir  string // where its files would be
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("there is no golden %q (%s): make it from this email %s, then look at the files", e.Name, e.Dir, howToUpdate)
}

// Is reports whether target is fs.ErrNotExist.
func (e *MissingError) Is(target error) bool { return target == fs.ErrNotExist }

// MismatchError says that an email differs from its golden.
type MismatchError struct {
	Name      string
	Dir       string // the directory of the golden
	Parts     []PartDiff
	Want, Got Files // the golden as it is stored, and as the email would be stored
}

// PartDiff says how one part of an email differs.
type PartDiff struct {
	Part string // subject, addresses, headers, attachments, problems, text or html
	Note string // a sentence about the part as a whole; may be empty
	Diff string // lines that start with "- " (golden), "+ " (email), "  " (both) or "@@" (place)
}

// Error names the parts that differ, shows the difference in each, and says how to accept it.
func (e *MismatchError) Error() string {
	var names []string
	for _, part := range e.Parts {
		names = append(names, part.Part)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the email differs from golden %q in %s\n", e.Name, enumerate(names))
	for _, part := range e.Parts {
		b.WriteString("\n" + part.Part)
		if part.Note != "" {
			b.WriteString(": " + part.Note)
		}
		b.WriteString("\n")
		for line := range strings.Lines(part.Diff) {
			b.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
		}
	}
	fmt.Fprintf(&b, "\n- golden (%s)   + email\nIf the email is right, rewrite the golden %s.", e.Dir, howToUpdate)
	return b.String()
}

func enumerate(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// compare returns the parts in which two emails differ, in the order in which a person reads them.
func compare(want, got Files) []PartDiff {
	for _, side := range []*Files{&want, &got} {
		for _, file := range side.each() {
			*file.content = file.canonical(*file.content)
		}
	}
	var parts []PartDiff
	for _, part := range []string{"subject", "addresses", "headers", "attachments", "problems"} {
		before, after := summaryLines(want.Email, part), summaryLines(got.Email, part)
		if !slices.Equal(before, after) {
			parts = append(parts, PartDiff{Part: part, Diff: lineDiff(before, after, format{})})
		}
	}
	if want.Text != got.Text {
		parts = append(parts, bodyDiff("text", want.Text, got.Text, format{places: true}))
	}
	if want.HTML != got.HTML {
		parts = append(parts, bodyDiff("html", want.HTML, got.HTML, format{places: true, outline: true}))
	}
	return parts
}

// summaryLines returns the lines of an email.txt that belong to one part.
func summaryLines(summary, part string) []string {
	var lines []string
	for line := range strings.Lines(summary) {
		key, _, _ := strings.Cut(line, ":")
		if partOf(key) == part {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func partOf(key string) string {
	switch key {
	case "Subject":
		return "subject"
	case "From", "To", "Cc", "Reply-To":
		return "addresses"
	case "Attachment", "Inline":
		return "attachments"
	case "Problem":
		return "problems"
	}
	return "headers"
}

func bodyDiff(part, want, got string, f format) PartDiff {
	d := PartDiff{Part: part}
	before, after := textdiff.Split(want), textdiff.Split(got)
	switch {
	case want == "":
		d.Note = fmt.Sprintf("the golden has none, the email has one of %s", text.Count(len(after), "line", "lines"))
	case got == "":
		d.Note = fmt.Sprintf("the email has none, the golden has one of %s", text.Count(len(before), "line", "lines"))
	}
	d.Diff = lineDiff(before, after, f)
	return d
}
