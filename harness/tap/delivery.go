package tap

import (
	"bufio"
	"bytes"
	"context"
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
	from       string    // the sender that the server accepted
	to         []string  // recipients that the server accepted
	denied     bool      // a fault has refused one
	size       int64     // bytes of the message that have been passed on
	bareLF     int       // line feeds among them that do not follow a carriage return
	last       byte      // the last of them
	header     headerReader
	server     string             // the mail server, by its banner
	before     previous           // the email before on this connection
	stop       context.CancelFunc // ends the reports of progress; nil before MAIL
}

// previous is what is known of the email before on a connection.
type previous struct {
	to               []string
	messageID, runID string
	refused          bool // commands have been refused since, which is recorded
}

// begin starts the record of an attempt.
func (d *delivery) begin() {
	d.rec = d.set.begin(AppToMail)
	d.rec.publish(func(x *Exchange) { x.Mail = &harness.MailTransaction{Connection: d.connection, Server: d.server} })
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
	if d.stop == nil {
		var ctx context.Context
		ctx, d.stop = context.WithCancel(context.Background())
		go d.rec.reportProgress(ctx)
	}
}

// firstReport is how long after MAIL a delivery that has not ended is recorded.
const firstReport = time.Second

// reportProgress publishes the record of an attempt that takes long, less and less often, until ctx ends.
func (r *recorder) reportProgress(ctx context.Context) {
	for wait := firstReport; ; wait *= 2 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
			r.publish(func(*Exchange) {})
		}
	}
}

// refusedAfter records that the mail server refused a command after an email. Of several such commands on a connection it
// records the first.
func (d *delivery) refusedAfter(command string, r reply) {
	if d.rec != nil || d.before.refused || len(d.before.to) == 0 {
		return
	}
	d.begin()
	d.note("app", command)
	d.note("server", r.lines()...)
	d.update(func(m *harness.MailTransaction) {
		m.After, m.MessageID, m.RunID = d.before.to, d.before.messageID, d.before.runID
	})
	before := d.before
	before.refused = true
	d.end(nil)
	d.before = before
}

// unended says why a message may not have ended where the app meant it to end; "" where it did.
func (d *delivery) unended() string {
	if d.bareLF == 0 {
		return ""
	}
	return ": lines of its message end in LF alone, and only a dot between CRLF and CRLF ends a message (RFC 5321, 2.3.8)"
}

// passed notes a piece of the message that has been passed on.
func (d *delivery) passed(piece []byte) {
	for _, b := range piece {
		if b == '\n' && d.last != '\r' {
			d.bareLF++
		}
		d.last = b
	}
	d.size += int64(len(piece))
	if !d.header.over {
		if _, _ = d.header.Write(piece); d.header.over {
			d.publishMessage()
		}
	}
	d.update(func(m *harness.MailTransaction) { m.Size = d.size })
}

// end ends the record of the attempt, if there is one.
func (d *delivery) end(err error) {
	if d.stop != nil {
		d.stop()
	}
	if d.rec != nil {
		d.rec.end(err)
	}
	now := delivery{set: d.set, connection: d.connection, server: d.server}
	if d.rec != nil && d.rec.exchange.Mail.Accepted { // the record does not change any more
		m := d.rec.exchange.Mail
		now.before = previous{to: m.To, messageID: m.MessageID, runID: m.RunID}
	}
	*d = now
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
		m.Size, m.BareLF = d.size, d.bareLF
		m.MessageID, m.RunID = d.header.ids(d.set.options.RunHeader)
	})
}

// publishMessage publishes what is known of a message before the mail server can accept it: it may do so after the app has
// given up.
func (d *delivery) publishMessage() {
	d.noteMessage()
	d.recorder().publish(func(*Exchange) {})
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
