package input_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/input"
)

func TestStream_DecodesByteOrderMarks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"plain":                {`{"a":"é"}`, `{"a":"é"}`},
		"UTF-8":                {"\xef\xbb\xbf{}", "{}"},
		"UTF-16 little endian": {"\xff\xfe{\x00}\x00", "{}"},
		"UTF-16 big endian":    {"\xfe\xff\x00{\x00\xe9\xd8\x3d\xde\x00\x00}", "{é😀}"},
		"cut off":              {"\xff\xfe{\x00}", "{"},
		"empty":                {"", ""},
		"other bytes":          {"\xff\x00\xef\xbb\xbf", "\xff\x00\xef\xbb\xbf"},
	} {
		got, err := input.Stream(t.Context(), bytes.NewReader([]byte(tt.in)))
		require.NoError(t, err, name)
		require.Equal(t, tt.want, string(got), name)
	}
}

func TestStream_EndsWithTheContext(t *testing.T) {
	t.Parallel()
	silent, end := io.Pipe()
	defer end.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	_, err := input.Stream(ctx, silent)
	require.ErrorIs(t, err, interrupted)
}

func TestFile_ReadsRegularFilesOnly(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "a.json")
	require.NoError(t, os.WriteFile(name, []byte("\xef\xbb\xbf{}"), 0o600))
	data, err := input.File(name)
	require.NoError(t, err)
	require.Equal(t, "{}", string(data))
	_, err = input.File(filepath.Dir(name))
	require.ErrorContains(t, err, "it is no regular file")
	_, err = input.File(os.DevNull)
	require.ErrorContains(t, err, "it is no regular file")
	_, err = input.File(name + ".none")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFile_HasALimit(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	require.NoError(t, os.Truncate(name, input.Limit+1)) // it takes no room
	_, err := input.File(name)
	require.ErrorContains(t, err, "it is larger than 256 MB")
}
