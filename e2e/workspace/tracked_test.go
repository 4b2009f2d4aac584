package workspace_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// largest is the greatest size in bytes of a file in the repository. A file stays in its history for ever.
const largest = 1 << 20

// programs lists the first bytes of programs, libraries and static archives, by format.
var programs = []struct{ format, magic string }{
	{"ELF", "\x7fELF"},
	{"Mach-O", "\xcf\xfa\xed\xfe"},
	{"Mach-O", "\xce\xfa\xed\xfe"},
	{"Mach-O or Java", "\xca\xfe\xba\xbe"},
	{"Windows", "MZ"},
	{"WebAssembly", "\x00asm"},
	{"archive of objects", "!<arch>\n"},
}

// unfit returns why a file with this beginning and size may not be committed; "" if it may.
func unfit(beginning []byte, size int64) string {
	for _, p := range programs {
		if bytes.HasPrefix(beginning, []byte(p.magic)) {
			return fmt.Sprintf("it is a binary program (%s)", p.format)
		}
	}
	if size > largest {
		return fmt.Sprintf("it has %.1f MB, more than 1", float64(size)/(1<<20))
	}
	return ""
}

// The files that git tracks are source, and small.
func TestTrackedFiles_AreSourceAndSmall(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	list.Dir = root(t)
	out, err := list.Output()
	require.NoError(t, err)
	tracked := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	require.Greater(t, len(tracked), 100)
	for _, name := range tracked {
		beginning, size, err := look(filepath.Join(root(t), filepath.FromSlash(name)))
		if os.IsNotExist(err) {
			continue // deleted, but not committed
		}
		require.NoError(t, err)
		require.Empty(t, unfit(beginning, size), "%s: take it out of the repository (git rm --cached), and name it in .gitignore", name)
	}
}

// look returns the first bytes of a file, and its size. Of a link it returns nothing.
func look(path string) (beginning []byte, size int64, err error) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	beginning, err = io.ReadAll(io.LimitReader(f, 8))
	return beginning, info.Size(), err
}

func TestUnfit_FindsProgramsAndLargeFiles(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	beginning, size, err := look(self)
	require.NoError(t, err)
	require.Contains(t, unfit(beginning, size), "it is a binary program (", "this test itself")
	require.Equal(t, "it is a binary program (Windows)", unfit([]byte("MZ\x90"), 10))
	require.Equal(t, "it has 1.5 MB, more than 1", unfit([]byte("# Much text"), 3<<19))
	require.Empty(t, unfit([]byte("package x"), largest))
	require.Empty(t, unfit(nil, 0))
}
