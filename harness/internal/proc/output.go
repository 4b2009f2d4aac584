package proc

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"time"
)

// maxLine is how much of a line is kept in memory.
const maxLine = 64 << 10

// output carries what a child writes to its log file, whole, and to a ring of its last lines.
type output struct {
	pipe    *os.File            // the end we read
	file    *os.File            // nil: no log file
	redact  func(string) string // nil: nothing is left out
	onLine  func(string)
	limit   int
	drained chan struct{} // closed when pump has read the last of it

	unread  []byte // what redact waits for the rest of; pump's own, as is
	partial []byte // the line being read

	mu      sync.Mutex
	lines   []string // a ring once it has limit entries
	oldest  int
	fileErr error
}

// pump reads until nobody holds the other end of the pipe any more.
func (o *output) pump() {
	defer close(o.drained)
	buf := make([]byte, 32<<10)
	for {
		n, err := o.pipe.Read(buf)
		if o.redact == nil {
			o.take(buf[:n])
		} else {
			o.takeRedacted(buf[:n], err != nil)
		}
		if err != nil {
			if len(o.partial) > 0 {
				o.endLine()
			}
			return
		}
	}
}

func (o *output) take(b []byte) {
	o.log(b)
	o.split(b)
}

// takeRedacted passes on whole lines, all of them at once as they came, and pieces of those that are too long to wait
// for their end. last says that nothing will follow.
func (o *output) takeRedacted(b []byte, last bool) {
	o.unread = append(o.unread, b...)
	var redacted []byte
	rest := o.unread
	for len(rest) > 0 {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 && len(rest) < maxLine && !last {
			break
		}
		line, behind := rest, []byte(nil)
		switch {
		case end >= 0 && end <= maxLine:
			line, behind = rest[:end], rest[end+1:]
		case len(rest) > maxLine:
			line, behind, end = rest[:maxLine], rest[maxLine:], -1
		}
		redacted = append(redacted, o.redact(string(bytes.TrimSuffix(line, []byte{'\r'})))...)
		if end >= 0 {
			redacted = append(redacted, '\n')
		}
		rest = behind
	}
	o.unread = append(o.unread[:0], rest...)
	o.take(redacted)
}

// log appends to the file. A file that cannot be written must not stop the child, whose writes would block if we read
// no more; nor is it given up, since a disk can have room again.
func (o *output) log(b []byte) {
	if o.file == nil || len(b) == 0 {
		return
	}
	if _, err := o.file.Write(b); err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.fileErr == nil {
			o.fileErr = err
		}
	}
}

func (o *output) split(b []byte) {
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		o.partial = append(o.partial, line[:min(len(line), maxLine-len(o.partial))]...)
		if ended {
			o.endLine()
		}
		b = rest
	}
}

func (o *output) endLine() {
	line := string(bytes.TrimSuffix(o.partial, []byte{'\r'}))
	o.partial = o.partial[:0]

	o.mu.Lock()
	if len(o.lines) < o.limit {
		o.lines = append(o.lines, line)
	} else {
		o.lines[o.oldest] = line
		o.oldest = (o.oldest + 1) % o.limit
	}
	o.mu.Unlock()

	if o.onLine != nil {
		o.onLine(line)
	}
}

func (o *output) tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append(append([]string{}, o.lines[o.oldest:]...), o.lines[:o.oldest]...)
}

// fileError returns why the log file is not complete, without its path, which messages name beside it.
func (o *output) fileError() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if pathErr := (*os.PathError)(nil); errors.As(o.fileErr, &pathErr) {
		return pathErr.Err
	}
	return o.fileErr
}

// drain waits until pump has read the last of the output, then lets go of pipe and file. A process that holds its end
// of the pipe for longer than limit is not heard any more.
func (o *output) drain(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-o.drained:
	case <-timer.C:
		// Ends the read that is waiting. Where pipes know no deadlines, closing does.
		if err := o.pipe.SetReadDeadline(time.Unix(1, 0)); err == nil {
			<-o.drained
		}
	}
	o.close()
}

func (o *output) close() {
	if o.pipe != nil {
		o.pipe.Close()
	}
	if o.file != nil {
		o.file.Close()
	}
}
