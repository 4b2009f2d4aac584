package containers

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

const (
	tailLines = 200
	// maxLine is how much of a line is kept in memory.
	maxLine = 64 << 10
)

// logbook carries what a container prints to a file, whole, and keeps its last lines. It is safe for concurrent use.
type logbook struct {
	path string

	mu      sync.Mutex
	partial []byte
	lines   []string // a ring once it is full
	oldest  int
	file    *os.File
	err     error // why the file is not complete

	awaited string // what a line has to contain for seen to be closed; empty: nothing is awaited
	seen    chan struct{}
}

func newLogbook(dir string, s harness.Service) *logbook {
	return &logbook{path: filepath.Join(dir, string(s)+".log")}
}

// open prepares the file, which keeps what earlier lives of the container printed.
func (l *logbook) open() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	return err
}

// await returns a channel that is closed when a line that contains text is printed from now on.
func (l *logbook) await(text string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.awaited, l.seen = text, make(chan struct{})
	return l.seen
}

// Write implements [io.Writer]. It never fails: a log file that cannot be written must not stop the server, whose
// writes would block if nobody read them.
func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		if _, err := l.file.Write(b); err != nil && l.err == nil {
			l.err = err
		}
	}
	for rest := b; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte{'\n'})
		l.partial = append(l.partial, line[:min(len(line), maxLine-len(l.partial))]...)
		if ended {
			l.endLine()
		}
		rest = after
	}
	return len(b), nil
}

// endLine moves the line that has been read to the ring. The caller holds mu.
func (l *logbook) endLine() {
	line := string(bytes.TrimSuffix(l.partial, []byte{'\r'}))
	l.partial = l.partial[:0]
	if l.awaited != "" && strings.Contains(line, l.awaited) {
		l.awaited = ""
		close(l.seen)
	}
	if len(l.lines) < tailLines {
		l.lines = append(l.lines, line)
		return
	}
	l.lines[l.oldest] = line
	l.oldest = (l.oldest + 1) % tailLines
}

// endLife ends a line that a container left unfinished when it ended.
func (l *logbook) endLife() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.endLine()
	}
}

// tail returns the last lines, oldest first.
func (l *logbook) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append([]string{}, l.lines[l.oldest:]...), l.lines[:l.oldest]...)
}

// fileError returns why the file is not complete, without its path.
func (l *logbook) fileError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pathErr := (*os.PathError)(nil); errors.As(l.err, &pathErr) {
		return pathErr.Err
	}
	return l.err
}

func (l *logbook) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	return file.Close()
}
