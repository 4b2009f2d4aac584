package proc

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// shownLines is how many lines of the tail an error text has.
const shownLines = 20

// ExitError says that a child has ended without being told to.
type ExitError struct {
	Name    string        // Spec.Name
	Code    int           // exit status; -1 when a signal ended it
	Signal  string        // the signal that ended it, such as "killed"; empty when it exited
	After   time.Duration // how long it ran
	Tail    []string      // its last lines of output, as many as were kept
	LogFile string        // Spec.LogFile
	LogErr  error         // why LogFile is not complete (a full disk); nil when it is
}

func newExitError(s Spec, state *os.ProcessState, lived time.Duration, out *output) *ExitError {
	return &ExitError{
		Name:    s.Name,
		Code:    state.ExitCode(),
		Signal:  endedBy(state),
		After:   lived,
		Tail:    out.book.Tail(),
		LogFile: s.LogFile,
		LogErr:  out.book.FileError(),
	}
}

// Error says how the child ended, and shows its last 20 lines of output.
func (e *ExitError) Error() string {
	text := e.Brief() + evidence(e.Tail, e.LogFile)
	if e.LogErr != nil {
		text += fmt.Sprintf(" (incomplete: %v)", e.LogErr)
	}
	return text
}

// Brief says how the child ended, without its output.
func (e *ExitError) Brief() string {
	how := fmt.Sprintf("exited with status %d", e.Code)
	if e.Signal != "" {
		how = fmt.Sprintf("was ended by a signal (%s)", e.Signal)
	}
	return fmt.Sprintf("%s %s after %v", e.Name, how, rounded(e.After))
}

// evidence renders the end of an output and the name of the log file, to follow a sentence.
func evidence(tail []string, logFile string) string {
	var b strings.Builder
	if len(tail) == 0 {
		b.WriteString("; it wrote nothing")
	} else {
		b.WriteString("; its last lines:")
		for _, line := range tail[max(0, len(tail)-shownLines):] {
			b.WriteString("\n  " + line)
		}
	}
	if logFile != "" {
		b.WriteString("\nwhole log: " + logFile)
	}
	return b.String()
}

// rounded rounds to milliseconds below a second, else to tenths of a second.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
