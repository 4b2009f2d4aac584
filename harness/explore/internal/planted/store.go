package planted

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// A record is what a store holds: texts by their keys.
type record = map[string]string

// A store is the database of an app. It is a file in a directory, which the next process of the app opens again, or it is in
// memory. It is safe for concurrent use in one process.
type store struct {
	mu     sync.Mutex
	file   string // empty: in memory
	record record
}

// openStore opens the store in a directory. Empty: one in memory.
func openStore(dir string) (*store, error) {
	s := &store{record: record{}}
	if dir == "" {
		return s, nil
	}
	s.file = filepath.Join(dir, "store.json")
	switch data, err := os.ReadFile(s.file); {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("open the store: %w", err)
	default:
		return s, json.Unmarshal(data, &s.record)
	}
}

// update is a transaction: change gets a copy of all that the store holds, which is stored unless it returns an error.
func (s *store) update(change func(record) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := maps.Clone(s.record)
	if err := change(changed); err != nil {
		return err
	}
	if s.file != "" {
		data, err := json.MarshalIndent(changed, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.file+".new", data, 0o600); err != nil {
			return fmt.Errorf("write the store: %w", err)
		}
		if err := os.Rename(s.file+".new", s.file); err != nil { // whole or not at all, also when the app is killed
			return fmt.Errorf("write the store: %w", err)
		}
	}
	s.record = changed
	return nil
}

// put stores a text.
func (s *store) put(key, text string) error {
	return s.update(func(r record) error { r[key] = text; return nil })
}

// get returns the text of a key, empty if it has none.
func (s *store) get(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record[key]
}

// all returns a copy of what the store holds.
func (s *store) all() record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.record)
}
