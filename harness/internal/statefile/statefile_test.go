package statefile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
)

func written(t *testing.T, s statefile.State) (dir, file string) {
	dir = t.TempDir()
	require.NoError(t, statefile.Write(dir, s))
	return dir, filepath.Join(dir, statefile.Dir, "stack.json")
}

func TestFind_ReadsWhatWriteWrote(t *testing.T) {
	dir, file := written(t, statefile.State{Backend: "local", API: statefile.API{URL: "http://127.0.0.1:1/api/v1", Token: "guess"}})
	below := filepath.Join(dir, "a", "b")
	require.NoError(t, os.MkdirAll(below, 0o755))
	t.Chdir(below)
	s, where, err := statefile.Find("")
	require.NoError(t, err)
	require.Equal(t, dir, where)
	_, where, err = statefile.Find(dir)
	require.NoError(t, err)
	require.Equal(t, dir, where)
	_, _, err = statefile.Find(below)
	require.ErrorIs(t, err, statefile.ErrNoStack, "a directory that is named is the stack's own")
	require.EqualError(t, err, "no stack is up in "+below+": start one with `harness up --stack "+below+"`")
	require.Equal(t, "local", s.Backend)
	require.Equal(t, "http://127.0.0.1:1/api/v1/schemas/stack.json", s.Schema)
	require.Equal(t, "guess", s.API.Token)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, "-rw-------", info.Mode().String())
	require.NoError(t, statefile.Remove(dir))
	_, _, err = statefile.Find(dir)
	require.ErrorIs(t, err, statefile.ErrNoStack)
}

func TestFind_IgnoresFilesOfOtherUsers(t *testing.T) {
	dir, file := written(t, statefile.State{Backend: "local"})
	foreign, err := os.Lstat(file)
	require.NoError(t, err)
	defer statefile.SetMine(func(info fs.FileInfo) bool { return !os.SameFile(info, foreign) })()
	t.Chdir(dir)
	_, _, err = statefile.Find("")
	require.ErrorIs(t, err, statefile.ErrNoStack)
	require.ErrorContains(t, err, file+" is ignored: it belongs to another user")

	own := filepath.Join(dir, "own")
	require.NoError(t, os.Mkdir(own, 0o755))
	require.NoError(t, statefile.Write(own, statefile.State{Backend: "sim"}))
	s, _, err := statefile.Find(own)
	require.NoError(t, err)
	require.Equal(t, "sim", s.Backend)
}

func TestFind_RefusesWhatUpDoesNotWrite(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(file string) error{
		"an escape sequence": func(file string) error {
			return os.WriteFile(file, []byte(`{"backend":"\u001b]0;title\u0007"}`), 0o600)
		},
		"a direction": func(file string) error {
			return os.WriteFile(file, []byte(`{"inngest":{"url":"http://\u202e"}}`), 0o600)
		},
		"a line break": func(file string) error { return os.WriteFile(file, []byte(`{"mongo":{"uri":"a\nb"}}`), 0o600) },
		"a directory":  func(file string) error { return os.Mkdir(file, 0o700) },
		"a device":     func(file string) error { return os.Symlink(os.DevNull, file) },
		"cut off":      func(file string) error { return os.WriteFile(file, []byte(`{"pid":`), 0o600) },
	} {
		dir, file := written(t, statefile.State{})
		require.NoError(t, os.Remove(file))
		require.NoError(t, spoil(file), name)
		_, _, err := statefile.Find(dir)
		require.ErrorContains(t, err, file+" cannot be read (", name)
	}
}

func TestWrite_LeavesNoTemporaryFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, statefile.Dir, "stack.json")
	require.NoError(t, os.MkdirAll(filepath.Join(file, "in the way"), 0o755))
	require.ErrorContains(t, statefile.Write(dir, statefile.State{}), "put the stack's state file in place")
	left, err := filepath.Glob(file + ".*")
	require.NoError(t, err)
	require.Empty(t, left)
}
