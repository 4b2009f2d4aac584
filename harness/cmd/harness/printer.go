package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/text"
)

// printer prints progress. On a terminal it rewrites the current line; elsewhere it prints a line when something begins,
// one every few seconds while it lasts, and one when it is done. It is safe for concurrent use, and prints whole lines.
type printer struct {
	paint
	mu     sync.Mutex
	w      io.Writer
	live   bool
	shown  bool // the current line will be rewritten
	spoken map[string]time.Duration
}

func newPrinter(io stdio) *printer {
	return &printer{w: io.err, live: io.terminal(io.err), paint: io.paint(io.err), spoken: map[string]time.Duration{}}
}

// quietFor is how long something lasts, without a terminal, before it is printed again.
const quietFor = 15 * time.Second

// progress prints the progress of something that takes time.
func (p *printer) progress(n harness.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := p.subject(n.Subject) + safe(n.Doing)
	if n.Elapsed >= time.Second || n.Done {
		line += "  " + p.dim(text.Elapsed(n.Elapsed).String())
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

// waiting prints what a command waits for, and for how long: on a terminal after a second, in a line that is removed in the
// end; elsewhere every few seconds. Call done before printing the outcome.
func (p *printer) waiting(subject, doing string) (done func()) {
	p.mu.Lock()
	p.spoken[subject+doing] = 0 // without a terminal not at once
	p.mu.Unlock()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		began := time.Now()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.progress(harness.Progress{Subject: subject, Doing: doing, Elapsed: time.Since(began)})
			case <-end:
				p.mu.Lock()
				defer p.mu.Unlock()
				p.clear()
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

// say prints a line about a subject.
func (p *printer) say(subject, format string, args ...any) {
	p.whole(p.subject(subject) + safe(fmt.Sprintf(format, args...)))
}

// output prints a line that the app wrote, unchanged: its colours stay.
func (p *printer) output(line string) {
	p.whole(p.cyan(fmt.Sprintf("%-8s |", "app")) + " " + line)
}

// whole prints a line in one write, so that lines do not mix.
func (p *printer) whole(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprint(p.w, line+"\n")
}

// finish removes the current line, so that something else can follow on the terminal.
func (p *printer) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *printer) subject(s string) string { return p.cyan(fmt.Sprintf("%-8s", s)) + " " }

func (p *printer) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
