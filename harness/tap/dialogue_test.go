package tap

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestReadReply(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		code int
		raw  string
	}{
		"250 fine\r\n354 more":           {250, "250 fine\r\n"},
		"250-a\r\n250-b\r\n250 c\r\n221": {250, "250-a\r\n250-b\r\n250 c\r\n"},
		"250\r\n":                        {250, "250\r\n"},
		"250-\n250\n":                    {250, "250-\n250\n"},
		"hello\r\n":                      {0, "hello\r\n"},
		"25x no\r\n":                     {0, "25x no\r\n"},
		"2500\r\n":                       {0, "2500\r\n"},
		"\r\n":                           {0, "\r\n"},
		"099 no\r\n":                     {0, "099 no\r\n"},
	} {
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(in), 16))
		require.NoError(t, err, in)
		require.Equal(t, want.code, r.code, in)
		require.Equal(t, want.raw, string(r.raw), in)
	}
	_, err := readReply(bufio.NewReader(strings.NewReader("250-half\r\n250")))
	require.ErrorIs(t, err, io.EOF)
	_, err = readReply(bufio.NewReader(strings.NewReader(strings.Repeat("250-more\r\n", maxReply/10+1))))
	require.EqualError(t, err, "the mail server's reply does not end")
}

func TestOfferSTARTTLS(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"250-here\r\n250-SIZE 5\r\n250 AUTH PLAIN\r\n": "250-here\r\n250-STARTTLS\r\n250-SIZE 5\r\n250 AUTH PLAIN\r\n",
		"250 here\r\n":                 "250-here\r\n250 STARTTLS\r\n",
		"250-here\r\n250 starttls\r\n": "250-here\r\n250 starttls\r\n",
		"250\r\n":                      "250\r\n",
		"250-here\r\n250\r\n":          "250-here\r\n250-STARTTLS\r\n250\r\n",
	} {
		require.Equal(t, want, string(offerSTARTTLS(reply{250, []byte(in)}).raw))
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"MAIL FROM:<app@plant.test>\r\n":                "app@plant.test",
		"MAIL FROM:<app@plant.test> SIZE=10 BODY=8\r\n": "app@plant.test",
		"mail from: app@plant.test SIZE=10\r\n":         "app@plant.test",
		"MAIL FROM:<>\r\n":                              "",
		"RCPT TO:<@a.test,@b.test:kim@plant.test>\r\n":  "kim@plant.test",
		`RCPT TO:<"a>b\">"@plant.test>` + "\r\n":        `"a>b\">"@plant.test`,
		"RCPT TO:<kim@plant.test\r\n":                   "kim@plant.test",
		"RCPT\r\n":                                      "",
	} {
		require.Equal(t, want, path([]byte(in)), in)
	}
}

func TestHeaderReader_ReadsMessageInPieces(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]harness.MailTransaction{
		"Message-ID: <1@x>\r\nX-Run: 01\r\n\r\nX-Run: 02":         {MessageID: "1@x", RunID: "01"},
		"message-id:\r\n <1@x>\r\nx-run:01\r\nX-Run: 02\r\n\r\n":  {MessageID: "1@x", RunID: "01"},
		"X-Run: 01\r\nno colon here\r\nMessage-ID: <1@x>\r\n\r\n": {RunID: "01"},
		"X-Run: 01":             {RunID: "01"},
		"\r\nX-Run: 01\r\n\r\n": {},
		"":                      {},
	} {
		for size := 1; size <= len(in)+1; size++ { // in pieces of every size
			var h headerReader
			for rest := in; rest != ""; rest = rest[min(size, len(rest)):] {
				_, _ = h.Write([]byte(rest[:min(size, len(rest))]))
			}
			var got harness.MailTransaction
			got.MessageID, got.RunID = h.ids("X-Run")
			require.Equal(t, want, got, "%q in pieces of %d", in, size)
		}
	}
	var h headerReader
	_, _ = h.Write([]byte("X-Run: 01\r\n" + strings.Repeat("X-More: x\r\n", maxHeader/10)))
	require.Len(t, h.buf, maxHeader)
}

// FuzzDotFinder compares the finder, fed in pieces, with the plain rule of RFC 5321 applied to the whole.
func FuzzDotFinder(f *testing.F) {
	for _, s := range []string{"", ".\r\n", "a\r\n.\r\nb", "\r\n..\r\n.\r.\n\r\n.\r\n", "\n.\n\r\n.\r\r\n.\r\n"} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		if size == 0 {
			size = 1
		}
		end := bytes.Index(append([]byte("\r\n"), stream...), []byte("\r\n.\r\n"))
		var finder dotFinder
		var text []byte
		held, ended, used := 0, false, 0
		for rest := stream; len(rest) > 0 && !ended; {
			piece := rest[:min(int(size), len(rest))]
			var n int
			n, ended = finder.next(piece)
			keep := finder.held()
			if ended {
				keep = len(terminator)
			}
			if certain := held + n - keep; certain > 0 {
				text = append(text, terminator[:held]...)
				text = append(text, piece[:certain-held]...)
			}
			held = keep
			used += n
			rest = rest[n:]
		}
		if ended != (end >= 0) {
			t.Fatalf("ended %v, but the end is at %d", ended, end)
		}
		if ended && (string(text) != string(stream[:end]) || used != end+len(terminator)) {
			t.Fatalf("found %q, want %q", text, stream[:end])
		}
		if !ended && string(text)+terminator[:held] != string(stream) {
			t.Fatalf("passed %q and holds %d", text, held)
		}
	})
}

func FuzzDialogue(f *testing.F) {
	for _, s := range []string{
		"EHLO x\r\n", "AUTH PLAIN AGFwcABzZWNyZXQ=\r\n", "MAIL FROM:<a@b> SIZE=3\r\n", `RCPT TO:<"a\">"@b>`, "250-a\r\n250 b\r\n", "\n", "BDAT 3 LAST\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		_ = path(line)
		text := redactCommand(line)
		if fields := strings.Fields(string(line)); verb(line) == "AUTH" && len(fields) > 2 && len(fields[2]) > 3 && strings.Contains(text, fields[2]) && !strings.Contains(fields[1], fields[2]) {
			t.Fatalf("credentials in %q", text)
		}
		r, err := readReply(bufio.NewReader(bytes.NewReader(line)))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(line, r.raw) {
			t.Fatalf("a reply was changed to %q", r.raw)
		}
		_ = offerSTARTTLS(r)
		var h headerReader
		_, _ = h.Write(line)
		_, _ = h.ids("X-Run")
	})
}
