package toolchain

import (
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// sumSuffix ends the name of the file beside a build that holds its checksum.
const sumSuffix = ".crc32c"

// intact returns nil for a program that is as its build left it, an error that wraps [fs.ErrNotExist] where there is no build,
// and another one for a program that is damaged: by a full disk, a power cut, or a cache that was restored in part.
func intact(path string) error {
	want, err := os.ReadFile(path + sumSuffix)
	if err != nil {
		return err
	}
	got, err := sum(path)
	if err != nil || got != string(want) {
		return damaged(path)
	}
	return nil
}

func damaged(path string) error { return fmt.Errorf("what the cache has is damaged (%s)", path) }

// writeSum writes the checksum of a build beside it.
func writeSum(path string) error {
	s, err := sum(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path+sumSuffix, []byte(s), 0o644)
}

// summed has the checksums that this process knows, by what tells a file that has changed.
var summed sync.Map

// sum returns the checksum of a program.
func sum(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("what the cache has is no program (%s)", path)
	}
	key := struct {
		path string
		size int64
		time time.Time
	}{path, info.Size(), info.ModTime()}
	if known, ok := summed.Load(key); ok {
		return known.(string), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	s := strconv.FormatUint(uint64(h.Sum32()), 16)
	summed.Store(key, s)
	return s, nil
}
