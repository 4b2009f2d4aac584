package proc

import (
	"bytes"
	"os"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
)

// output copies what a child writes to its logbook.
type output struct {
	pipe    *os.File // the end we read
	book    *logbook.Book
	redact  func(string) string // nil: nothing is redacted
	drained chan struct{}       // closed when pump has read all of it
	unread  []byte              // an incomplete line that waits for its rest; used by pump only
}

// pump reads until no process holds the other end of the pipe.
func (o *output) pump() {
	defer close(o.drained)
	buf := make([]byte, 32<<10)
	for {
		n, err := o.pipe.Read(buf)
		if o.redact == nil {
			_, _ = o.book.Write(buf[:n]) // which never fails
		} else {
			o.writeRedacted(buf[:n], err != nil)
		}
		if err != nil {
			o.book.EndLine()
			return
		}
	}
}

// writeRedacted writes the complete lines of b, in one write, and pieces of lines that are longer than a book keeps. last
// says that nothing will follow.
func (o *output) writeRedacted(b []byte, last bool) {
	o.unread = append(o.unread, b...)
	var redacted []byte
	rest := o.unread
	for len(rest) > 0 {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 && len(rest) < logbook.MaxLine && !last {
			break
		}
		line, behind := rest, []byte(nil)
		switch {
		case end >= 0 && end <= logbook.MaxLine:
			line, behind = rest[:end], rest[end+1:]
		case len(rest) > logbook.MaxLine:
			line, behind, end = rest[:logbook.MaxLine], rest[logbook.MaxLine:], -1
		}
		redacted = append(redacted, o.redact(string(bytes.TrimSuffix(line, []byte{'\r'})))...)
		if end >= 0 {
			redacted = append(redacted, '\n')
		}
		rest = behind
	}
	o.unread = append(o.unread[:0], rest...)
	_, _ = o.book.Write(redacted) // which never fails
}

// drain waits until pump has read all of the output, then closes pipe and file. It waits no longer than limit, for a process
// that holds its end of the pipe.
func (o *output) drain(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-o.drained:
	case <-timer.C:
		// It ends a blocked read. Where pipes have no deadlines, closing does.
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
	_ = o.book.Close() // FileError has what could not be written
}
