package statefile

import "io/fs"

// SetMine replaces the function that says whether a file belongs to the user. No other test may run meanwhile.
func SetMine(mine func(fs.FileInfo) bool) (restore func()) {
	before := isMine
	isMine = mine
	return func() { isMine = before }
}
