// Package input reads what a user hands to a command: files, and standard input. No read lasts for ever: it ends with a
// context, at a limit, or at once for what has no end.
package input

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf16"
)

// Limit is the most bytes that are read.
const Limit = 256 << 20

var errTooLarge = fmt.Errorf("it is larger than %d MB", Limit>>20)

// File reads a regular file. Another kind of file, such as a pipe or a device, is an error: it may have no end.
func File(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("it is no regular file")}
	}
	if info.Size() > Limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errTooLarge}
	}
	return Any(context.Background(), name)
}

// Any reads a file of any kind, also a pipe of the shell, until ctx ends.
func Any(ctx context.Context, name string) ([]byte, error) {
	return until(ctx, func() ([]byte, error) {
		f, err := os.Open(name) // of a pipe it waits for the other end
		if err != nil {
			return nil, err
		}
		defer f.Close()
		data, err := read(f)
		if errors.Is(err, errTooLarge) {
			err = &fs.PathError{Op: "read", Path: name, Err: err}
		}
		return data, err
	})
}

// Stream reads a stream to its end, until ctx ends.
func Stream(ctx context.Context, r io.Reader) ([]byte, error) {
	return until(ctx, func() ([]byte, error) { return read(r) })
}

// until returns what f returns, or that ctx has ended; f is then left behind.
func until(ctx context.Context, f func() ([]byte, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := f()
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func read(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, Limit+1))
	if err == nil && len(data) > Limit {
		err = errTooLarge
	}
	return text(data), err
}

// text returns UTF-8 without a byte order mark, of what an editor or a shell of Windows may have written.
func text(data []byte) []byte {
	order := binary.ByteOrder(binary.LittleEndian)
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return data[3:]
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		order = binary.BigEndian
	case !bytes.HasPrefix(data, []byte("\xff\xfe")):
		return data
	}
	var units []uint16
	for data = data[2:]; len(data) > 1; data = data[2:] {
		units = append(units, order.Uint16(data))
	}
	return []byte(string(utf16.Decode(units)))
}
