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
