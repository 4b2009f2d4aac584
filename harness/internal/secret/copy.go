package secret

import (
	"bufio"
	"errors"
	"io"
)

// Copy copies text line by line through redact, as [Set.Lines] returns it.
func Copy(to io.Writer, from io.Reader, redact func(line string) string) error {
	lines, w := bufio.NewReader(from), bufio.NewWriter(to)
	for {
		line, err := lines.ReadString('\n')
		_, _ = w.WriteString(redact(line)) // Flush says what went wrong
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return errors.Join(err, w.Flush())
		}
	}
}
