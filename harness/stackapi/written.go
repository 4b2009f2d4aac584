package stackapi

import (
	"path/filepath"
	"sync"
)

// written are directories into which tests have files written. The zero value has none.
type written struct {
	mu   sync.Mutex
	dirs map[string]bool
}

// add adds directories; those without a name are none.
func (w *written) add(dirs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if w.dirs == nil {
			w.dirs = map[string]bool{}
		}
		w.dirs[filepath.Clean(dir)] = true
	}
}

// Wrote reports whether a file is in a directory into which tests have their report, evidence or golden emails written.
func (s *Server) Wrote(file string) bool {
	at, err := filepath.Abs(file)
	if err != nil {
		return false
	}
	s.written.mu.Lock()
	defer s.written.mu.Unlock()
	for {
		up := filepath.Dir(at)
		if s.written.dirs[up] {
			return true
		}
		if up == at {
			return false
		}
		at = up
	}
}
