// Package logbook keeps what a server prints: all of it in a file, and its last lines in memory.
//
//	book := logbook.New(logbook.Options{File: "mongo.log"})
//	if err := book.Open(); err != nil { … }
//	defer book.Close()
//	io.Copy(book, output) // a file that cannot be written does not stop it: see FileError
//	book.Tail()           // the last 200 lines
package logbook

import (
	"bytes"
	"errors"
	"os"
	"sync"
)

const (
	// Lines is how many lines a book keeps in memory.
	Lines = 200
	// MaxLine is how much of a line is kept in memory, in bytes.
	MaxLine = 64 << 10
)

// Options configures a Book. The zero value keeps the last lines, and writes no file.
type Options struct {
	// File is the file that all output is appended to, readable by its owner only. Empty: none.
	File string
	// OnLine is called with every line, without its line end, one call at a time. Nothing is written while it runs. It
	// may call Tail, which has the line already.
	OnLine func(line string)
}

// Book is a log. It is safe for concurrent use; the output of one call of Write stays together.
type Book struct {
	o Options

	writing sync.Mutex // held during a Write
	partial []byte     // the line that has not ended yet

	mu    sync.Mutex
	file  *os.File
	err   error    // why the file is not complete
	lines []string // the last ones
}

// New returns an empty book. Nothing is written to its file before Open.
func New(o Options) *Book { return &Book{o: o} }

// Open opens the file for appending. It does nothing to a book that is open.
func (b *Book) Open() (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil && b.o.File != "" {
		b.file, err = os.OpenFile(b.o.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	return err
}

// File is the path of the file; empty where there is none.
func (b *Book) File() string { return b.o.File }

// Write implements [io.Writer]. It never fails, since the server would block if its output were not read. When the file cannot
// be written, later output is tried again: a disk can have room again.
func (b *Book) Write(output []byte) (int, error) {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.log(output)
	for rest := output; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte{'\n'})
		b.partial = append(b.partial, line[:min(len(line), MaxLine-len(b.partial))]...)
		if ended {
			b.endLine()
		}
		rest = after
	}
	return len(output), nil
}

func (b *Book) log(output []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil || len(output) == 0 {
		return
	}
	if _, err := b.file.Write(output); err != nil && b.err == nil {
		b.err = err
	}
}

// endLine adds the complete line to those in memory. The caller holds writing.
func (b *Book) endLine() {
	line := string(bytes.TrimSuffix(b.partial, []byte{'\r'}))
	b.partial = b.partial[:0]
	b.keep(line)
	if b.o.OnLine != nil {
		b.o.OnLine(line)
	}
}

func (b *Book) keep(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) == Lines {
		b.lines = b.lines[1:] // append moves them to a new array now and then
	}
	b.lines = append(b.lines, line)
}

// EndLine ends a line that the server left incomplete.
func (b *Book) EndLine() {
	b.writing.Lock()
	defer b.writing.Unlock()
	if len(b.partial) > 0 {
		b.endLine()
	}
}

// Tail returns the last lines, oldest first, without their line ends. Lines over [MaxLine] are cut.
func (b *Book) Tail() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.lines...)
}

// FileError returns why the file is not complete; nil when it is. It does not repeat the path.
func (b *Book) FileError() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if pathErr, ok := errors.AsType[*os.PathError](b.err); ok {
		return pathErr.Err
	}
	return b.err
}

// Close closes the file. The last lines stay in memory, and the book can be opened again.
func (b *Book) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return nil
	}
	file := b.file
	b.file = nil
	return file.Close()
}
