package simstack

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// logbook writes a log's lines to a file and keeps the last of them at hand.
type logbook struct {
	path string

	mu    sync.Mutex
	file  *os.File
	lines []string
}

// keptLines is how many lines a logbook keeps at hand.
const keptLines = 200

func openLogbook(path string) (*logbook, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("open the log of inngest (sim): %w", err)
	}
	return &logbook{path: path, file: f}, nil
}

// Write takes one line, as slog's handlers write them.
func (l *logbook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == keptLines {
		l.lines = slices.Delete(l.lines, 0, 1)
	}
	l.lines = append(l.lines, strings.TrimRight(string(line), "\n"))
	return l.file.Write(line)
}

func (l *logbook) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func (l *logbook) close() error { return l.file.Close() }
