package logbook_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/logbook"
)

func write(t *testing.T, b *logbook.Book, text string) {
	t.Helper()
	n, err := b.Write([]byte(text))
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

func TestBook_KeepsTheTailAndWritesTheFile(t *testing.T) {
	t.Parallel()
	b := logbook.New(logbook.Options{File: filepath.Join(t.TempDir(), "server.log")})
	require.NoError(t, b.Open())
	for range logbook.Lines {
		write(t, b, "early\n")
	}
	write(t, b, "la")
	write(t, b, "te\r\nunfin")
	require.Equal(t, "late", b.Tail()[logbook.Lines-1], "half a line is no line")
	b.EndLine()
	b.EndLine()
	tail := b.Tail()
	require.Len(t, tail, logbook.Lines)
	require.Equal(t, []string{"late", "unfin"}, tail[logbook.Lines-2:])
	require.NoError(t, b.FileError())
	require.NoError(t, b.Close())

	require.NoError(t, b.Open(), "another life of the server")
	require.NoError(t, b.Open())
	write(t, b, " again\n")
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	text, err := os.ReadFile(b.File())
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("early\n", logbook.Lines)+"late\r\nunfin again\n", string(text))
	info, err := os.Stat(b.File())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "a log is its owner's alone")
}

func TestBook_CallsOnLineOncePerLine(t *testing.T) {
	t.Parallel()
	var seen []string
	var b *logbook.Book
	b = logbook.New(logbook.Options{OnLine: func(line string) {
		require.Equal(t, line, b.Tail()[len(b.Tail())-1])
		seen = append(seen, line)
	}})
	require.NoError(t, b.Open(), "without a file there is nothing to open")
	write(t, b, "one\ntwo\n\nfour")
	write(t, b, "!\n")
	require.Equal(t, []string{"one", "two", "", "four!"}, seen)
	require.Equal(t, seen, b.Tail())
	write(t, b, strings.Repeat("x", logbook.MaxLine+1)+"\n")
	require.Len(t, b.Tail()[4], logbook.MaxLine)
	require.NoError(t, b.Close())
}
