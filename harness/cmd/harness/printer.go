package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// printer tells a person what is going on. On a terminal the current line is rewritten; elsewhere there is a line when
// something begins, one every few seconds while it goes on, and one when it is done.
type printer struct {
	mu     sync.Mutex
	w      io.Writer
	live   bool
	shown  bool // the cursor stands behind a line that will be rewritten
	spoken map[string]time.Duration
}

func newPrinter(w io.Writer) *printer {
	return &printer{w: w, live: terminal(w), spoken: map[string]time.Duration{}}
}

// quietFor is how long something goes on, off a terminal, before it is mentioned again.
const quietFor = 15 * time.Second

func (p *printer) progress(n harness.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("%-8s %s", n.Subject, n.Doing)
	if n.Elapsed >= time.Second || n.Done {
		line += "  " + elapsed(n.Elapsed)
	}
	if p.live {
		p.clear()
		fmt.Fprint(p.w, line)
		p.shown = true
		if n.Done {
			fmt.Fprintln(p.w)
			p.shown = false
		}
		return
	}
	last, seen := p.spoken[n.Subject+n.Doing]
	if n.Done || !seen || n.Elapsed-last >= quietFor {
		p.spoken[n.Subject+n.Doing] = n.Elapsed
		fmt.Fprintln(p.w, line)
	}
}

// line prints a line of its own.
func (p *printer) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.w, strings.TrimRight(format, "\n")+"\n", args...)
}

func (p *printer) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
