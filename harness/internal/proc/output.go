package proc

import (
	"bufio"
	"io"
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
}

// pump reads until no process holds the other end of the pipe.
func (o *output) pump() {
	defer close(o.drained)
	defer o.book.EndLine()
	if o.redact == nil {
		_, _ = io.Copy(o.book, o.pipe) // drain ends a blocked read
		return
	}
	for r := bufio.NewReaderSize(o.pipe, logbook.MaxLine); ; {
		line, incomplete, err := r.ReadLine() // incomplete: the piece of a line that is longer than the buffer
		if err != nil {
			return
		}
		text := o.redact(string(line))
		if !incomplete {
			text += "\n"
		}
		_, _ = o.book.Write([]byte(text)) // it never fails
	}
}

// drain waits until pump has read all of the output, then closes pipe and file. It waits no longer than limit, for a process
// that holds its end of the pipe.
func (o *output) drain(limit time.Duration) {
	select {
	case <-o.drained:
	case <-time.After(limit):
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
