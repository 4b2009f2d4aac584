package port

import (
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOfGroup(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	require.Contains(t, OfGroup(syscall.Getpgrp()), l.Addr().(*net.TCPAddr).Port)
	require.Empty(t, OfGroup(1<<30))
}
