package tap

import (
	"bufio"
	"bytes"
	"io"
	"net/textproto"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// A delivery records the attempts to deliver an email that a session makes one after the other. It is for the session's
// goroutine.
type delivery struct {
	set        *Set
	connection uint64
	rec        *recorder // nil between the end of one attempt and the MAIL of the next
	mailed     bool      // MAIL has been sent
	open       bool      // and accepted
	to         []string  // recipients that the server accepted
	size       int64     // bytes of the message that have been passed on
	header     headerReader
}

// begin starts the record of an attempt.
func (d *delivery) begin() {
	d.rec = d.set.begin(AppToMail)
	d.rec.publish(func(x *Exchange) { x.Mail = &harness.MailTransaction{Connection: d.connection} })
}

// next starts the record of another attempt, unless the one under way has no sender yet.
func (d *delivery) next() {
	if d.mailed && !d.open {
		d.end(nil)
	}
	if d.rec == nil {
		d.begin()
	}
	d.mailed = true
}

// end ends the record of the attempt, if there is one.
func (d *delivery) end(err error) {
	if d.rec != nil {
		d.rec.end(err)
	}
	*d = delivery{set: d.set, connection: d.connection}
}

// update changes the record of the attempt under way.
func (d *delivery) update(change func(*harness.MailTransaction)) {
	if d.rec != nil {
		d.rec.update(func(x *Exchange) { change(x.Mail) })
	}
}

const (
	maxDialogue     = 200 // lines
	maxDialogueLine = 512 // bytes
)

// note adds lines to the dialogue. by is "app", "server" or "tap".
func (d *delivery) note(by string, lines ...string) {
	d.update(func(m *harness.MailTransaction) {
		for _, text := range lines {
			if len(m.Dialogue) < maxDialogue {
				text = strings.ToValidUTF8(text[:min(len(text), maxDialogueLine)], "?")
				m.Dialogue = append(m.Dialogue, harness.SMTPLine{At: time.Now(), By: by, Text: text})
			}
		}
	})
}

// noteMessage records the size of the message so far, and what its header says.
func (d *delivery) noteMessage() {
	d.update(func(m *harness.MailTransaction) {
		m.Size = d.size
		m.MessageID, m.RunID = d.header.ids(d.set.options.RunHeader)
	})
}

// recorder returns the recorder of the attempt under way. Between two attempts it returns one that records nothing.
func (d *delivery) recorder() *recorder {
	if d.rec == nil {
		return &recorder{set: d.set, exchange: Exchange{Ended: time.Now()}}
	}
	return d.rec
}

// maxHeader bounds how much of a message is kept to read its header, in bytes.
const maxHeader = 256 << 10

// A headerReader is a writer that keeps the header of the message that is written to it.
type headerReader struct {
	buf  []byte
	over bool
}

// Write keeps what belongs to the header. It never fails.
func (h *headerReader) Write(text []byte) (int, error) {
	if h.over {
		return len(text), nil
	}
	searched := max(0, len(h.buf)-3)
	h.buf = append(h.buf, text[:min(len(text), maxHeader-len(h.buf))]...)
	if end := bytes.Index(h.buf[searched:], []byte("\r\n\r\n")); end >= 0 {
		h.buf = h.buf[:searched+end+4]
		h.over = true
	} else if len(h.buf) == maxHeader {
		h.over = true
	}
	return len(text), nil
}

// ids returns the Message-ID without its brackets, and the value of the header that names the run. Of a malformed header
// it reads what comes before the malformed line.
func (h *headerReader) ids(runHeader string) (messageID, runID string) {
	text := io.MultiReader(bytes.NewReader(h.buf), strings.NewReader("\r\n\r\n"))
	header, _ := textproto.NewReader(bufio.NewReader(text)).ReadMIMEHeader()
	return strings.Trim(strings.TrimSpace(header.Get("Message-Id")), "<>"), strings.TrimSpace(header.Get(runHeader))
}
