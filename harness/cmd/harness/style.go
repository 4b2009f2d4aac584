package main

import (
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// terminal reports whether w is a terminal that can move its cursor.
func (s stdio) terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && s.getenv("TERM") != "dumb"
}

// paint returns the colours for w. See https://no-color.org.
func (s stdio) paint(w io.Writer) paint { return paint(s.terminal(w) && s.getenv("NO_COLOR") == "") }

// paint colours text; false leaves it unchanged.
type paint bool

func (p paint) with(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) red(s string) string    { return p.with("31", s) }
func (p paint) green(s string) string  { return p.with("32", s) }
func (p paint) yellow(s string) string { return p.with("33", s) }
func (p paint) cyan(s string) string   { return p.with("36", s) }
func (p paint) dim(s string) string    { return p.with("2", s) }

// marks colours the marks of a tree.
func (p paint) marks(s string) string {
	return strings.NewReplacer("✓", p.green("✓"), "✗", p.red("✗"), "…", p.yellow("…"), "← first broken hop", p.red("← first broken hop")).Replace(s)
}

// safe makes text from outside (an email, an app's output, an error that quotes them) harmless to a terminal: it prints
// control characters and those that change the direction of writing as escapes.
func safe(s string) string { return text.Safe(s) }

// oneLine is safe for text that has to stay on one line.
func oneLine(s string) string {
	return strings.NewReplacer("\n", `\n`, "\t", " ").Replace(safe(s))
}
