// Package logbook keeps what a server prints: all of it in a file, its last lines at hand.
//
//	book := logbook.New(logbook.Options{File: "mongo.log"})
//	if err := book.Open(); err != nil { … }
//	defer book.Close()
//	io.Copy(book, output) // never stops the server: a file that cannot be written is FileError's to tell
//	book.Tail()           // the last 200 lines
package logbook

import (
	"bytes"
	"errors"
	"os"
	"sync"
)

const (
	// DefaultLines is how many lines a book keeps at hand unless told otherwise.
	DefaultLines = 200
	// MaxLine is how much of a line is kept at hand, in bytes.
	MaxLine = 64 << 10
)

// Options configures a Book. The zero value keeps the last lines, and writes no file.
type Options struct {
	// File is where all output is appended, readable by its owner alone. Empty: nowhere.
	File string
	// Lines is how many lines are kept at hand. Zero: [DefaultLines].
	Lines int
	// OnLine is called with every line, without its line end, one call at a time. While it runs nothing is written. It
	// may ask the book for its tail, in which the line is already.
	OnLine func(line string)
}

// Book is a log. It is safe for concurrent use; what one call of Write is given stays together.
type Book struct {
	o Options

	writing sync.Mutex // held while a piece of output is taken in
	partial []byte     // the line that has no end yet

	mu     sync.Mutex
	file   *os.File
	err    error    // why the file is not complete
	lines  []string // a ring once it is full
	oldest int
}

// New returns an empty book. Nothing is written to its file before Open.
func New(o Options) *Book {
	if o.Lines == 0 {
		o.Lines = DefaultLines
	}
	return &Book{o: o}
}

// Open opens the file, which keeps what stands in it. It does nothing to a book that is open.
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

// Write implements [io.Writer]. It never fails: a file that cannot be written must not stop the server, whose writes
// would block if nobody read them. Nor is the file given up, since a disk can have room again.
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

// endLine moves the line that has been read to the ring. The caller holds writing.
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
	if len(b.lines) < b.o.Lines {
		b.lines = append(b.lines, line)
		return
	}
	b.lines[b.oldest] = line
	b.oldest = (b.oldest + 1) % b.o.Lines
}

// EndLine ends a line that the server left unfinished when it ended.
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
	return append(append([]string{}, b.lines[b.oldest:]...), b.lines[:b.oldest]...)
}

// FileError returns why the file is not complete, without its path, which messages name beside it.
func (b *Book) FileError() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if pathErr, ok := errors.AsType[*os.PathError](b.err); ok {
		return pathErr.Err
	}
	return b.err
}

// Close closes the file. The last lines stay at hand, and the book can be opened again.
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
