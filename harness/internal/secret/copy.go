package secret

import (
	"bufio"
	"errors"
	"io"
)

// Copy copies text line by line through redact, such as the function that [Set.Lines] returns.
func Copy(to io.Writer, from io.Reader, redact func(line string) string) error {
	lines, w := bufio.NewReader(from), bufio.NewWriter(to)
	for {
		line, err := lines.ReadString('\n')
		_, _ = w.WriteString(redact(line)) // Flush returns the error
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return errors.Join(err, w.Flush())
		}
	}
}

// Writer returns a writer that leaves secrets out of what is written to another one at a time, such as a line of a log.
func (s *Set) Writer(to io.Writer) io.Writer { return masked{to, s} }

type masked struct {
	to      io.Writer
	secrets *Set
}

func (m masked) Write(text []byte) (int, error) {
	_, err := io.WriteString(m.to, m.secrets.Text(string(text)))
	return len(text), err
}
