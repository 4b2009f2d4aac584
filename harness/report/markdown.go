package report

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

const (
	// maxSummary is about how large a summary may get, in bytes: GitHub takes comments of 65,536 characters.
	maxSummary = 60_000
	// maxSummaryItems is how many failures, and how many changed emails, a summary shows in full.
	maxSummaryItems = 20
	maxSummaryBlock = 4_000 // characters of one of them
	maxSummaryText  = 300   // characters of one piece of text outside of them
)

// summaryEnd ends every summary.
const summaryEnd = "\nThe whole report, with every email rendered, is " + PageFile + ".\n"

// WriteMarkdown writes a summary for a pull request: what failed and why, which emails changed and how, and what the
// fault matrix and the measurements say.
func (rep *Report) WriteMarkdown(w io.Writer) error { return rep.page().writeMarkdown(w) }

func (p *page) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s %s\n\n", map[bool]string{true: "✅", false: "❌"}[p.Counts.Failed == 0 && p.Counts.Kept == p.Counts.Faults], escape(p.Title))
	facts := []string{fmt.Sprintf("%d passed, %d failed, %d skipped", p.Counts.Passed, p.Counts.Failed, p.Counts.Skipped)}
	if p.Counts.Emails > 0 {
		facts = append(facts, fmt.Sprintf("%s: %d changed, %d new, %d unchanged", text.Count(p.Counts.Emails, "email", "emails"), p.Counts.Changed, p.Counts.New, p.Counts.Same))
	}
	if p.Counts.Faults > 0 {
		facts = append(facts, fmt.Sprintf("%d of %s kept under faults", p.Counts.Kept, text.Count(p.Counts.Faults, "promise", "promises")))
	}
	if len(p.Backends) > 0 {
		facts = append(facts, "on "+strings.Join(p.Backends, ", "))
	}
	fmt.Fprintf(&b, "%s.\n", escape(strings.Join(facts, " · ")))

	if len(p.Failed) > 0 {
		b.WriteString("\n### Failed\n")
	}
	for i, t := range p.Failed {
		if i == maxSummaryItems || b.Len() > maxSummary/2 {
			fmt.Fprintf(&b, "\n… and %d more: see %s.\n", len(p.Failed)-i, PageFile)
			break
		}
		fmt.Fprintf(&b, "\n<details><summary>%s <i>%s</i><br>%s</summary>\n\n", escape(t.Short), escape(t.Backend), escape(firstLine(t.reason())))
		b.WriteString(fence("text", text.Clip(t.failureText(), maxSummaryBlock)))
		b.WriteString("\n</details>\n")
	}
	writeChanged(&b, p)
	writeFaults(&b, p)
	if p.Bench != nil {
		b.WriteString("\n### Measurements\n\n| what | median | 95 % interval | n | |\n|---|---:|---|---:|---|\n")
		for _, f := range p.Bench.Rows {
			if b.Len() > maxSummary {
				break
			}
			fmt.Fprintf(&b, "| %s | %s | %s – %s | %d | %s |\n", escape(f.Name), milliseconds(inMilliseconds(f.Median)), milliseconds(inMilliseconds(f.Low)), milliseconds(inMilliseconds(f.High)), f.N, escape(f.Note))
		}
	}
	b.WriteString(summaryEnd)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeChanged(b *strings.Builder, p *page) {
	shown, left := 0, 0
	for _, g := range p.Groups {
		if g.Kind != changed {
			continue
		}
		b.WriteString("\n### Changed emails\n")
		for _, e := range g.Emails {
			if shown == maxSummaryItems || b.Len() > maxSummary-4*maxSummaryBlock {
				left++
				continue
			}
			shown++
			fmt.Fprintf(b, "\n<details><summary>%s: %s</summary>\n\n", escape(e.Golden), escape(e.Subject))
			var diff strings.Builder
			for _, d := range e.Diffs {
				if d.Part == "HTML source" && len(e.Diffs) > 1 {
					continue // the text says it in fewer words
				}
				for _, l := range d.Lines {
					diff.WriteString(l.Kind)
					for _, s := range l.Spans {
						diff.WriteString(s.Text)
					}
					diff.WriteByte('\n')
				}
			}
			b.WriteString(fence("diff", text.Clip(diff.String(), maxSummaryBlock)))
			b.WriteString("\n</details>\n")
		}
	}
	if left > 0 {
		fmt.Fprintf(b, "\n… and %d more: see %s.\n", left, PageFile)
	}
}

func writeFaults(b *strings.Builder, p *page) {
	for _, m := range p.Matrix {
		if m.Kept == len(m.Rows) || b.Len() > maxSummary-maxSummaryBlock {
			continue
		}
		fmt.Fprintf(b, "\n### Promises not kept (%s)\n\n| fault | promised | happened |\n|---|---|---|\n", escape(m.Backend))
		for _, r := range m.Rows {
			if !r.Kept && b.Len() < maxSummary-maxSummaryBlock {
				fmt.Fprintf(b, "| %s | %s | %s |\n", escape(r.Fault.Fault), escape(r.Promised), escape(r.Happened))
			}
		}
	}
}

// fence encloses text in a fence that it cannot leave.
func fence(language, body string) string {
	marks := "```"
	for strings.Contains(body, marks) {
		marks += "`"
	}
	return marks + language + "\n" + strings.TrimRight(body, "\n") + "\n" + marks + "\n"
}

// escape makes one line of text that Markdown shows as it is, also between tags: no markup, no link, no mention.
func escape(s string) string {
	const joiner = "\u2060" // of no width: what is written after it is no name of a person or an issue
	var b strings.Builder
	before := ' '
	for _, r := range text.OneLine(text.Clip(s, maxSummaryText)) {
		switch {
		case strings.ContainsRune("<>&\\`*_{}[]()!|~\"", r):
			fmt.Fprintf(&b, "&#%d;", r)
		case (r == '@' || r == '#') && !unicode.IsLetter(before) && !unicode.IsDigit(before):
			b.WriteString(string(r) + joiner)
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return strings.NewReplacer("://", "&#58;//", "www.", "www&#46;").Replace(b.String())
}
