package engine

import (
	"sync"

	tclog "github.com/testcontainers/testcontainers-go/log"
)

// quiet guards testcontainers' default logger, a variable, while it is out of the way.
var quiet sync.Mutex

// Quietly calls f without testcontainers' default logger, which prints a page about the engine, to standard error and
// so into somebody's progress display, the first time that it asks the engine about itself.
func Quietly(f func() error) error {
	quiet.Lock()
	defer quiet.Unlock()
	previous := tclog.Default()
	tclog.SetDefault(tclog.NewNoopLogger())
	defer tclog.SetDefault(previous)
	return f()
}
