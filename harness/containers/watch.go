package containers

import (
	"strings"
	"sync"
)

// watch tells when a container prints a line. It is safe for concurrent use.
type watch struct {
	mu   sync.Mutex
	text string        // what the line has to contain; empty: nothing is awaited
	seen chan struct{} // closed with it
}

// await returns a channel that is closed when a line that contains text is printed from now on.
func (w *watch) await(text string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text, w.seen = text, make(chan struct{})
	return w.seen
}

// line takes each line that is printed.
func (w *watch) line(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.text != "" && strings.Contains(line, w.text) {
		w.text = ""
		close(w.seen)
	}
}
