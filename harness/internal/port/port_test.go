package port_test

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
)

func TestFreePortsAreDifferentAndUsable(t *testing.T) {
	t.Parallel()
	ports, err := port.Free(20)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, p := range ports {
		require.False(t, seen[p], "port %d twice", p)
		seen[p] = true
	}
}

func TestCheckNamesTheHolderAndTheWayOut(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port

	err = port.Check(taken, "Inngest")
	var te *port.TakenError
	require.ErrorAs(t, err, &te)
	require.Contains(t, err.Error(), "port "+strconv.Itoa(taken)+", wanted for Inngest, is in use by ")
	require.Contains(t, err.Error(), "--ports free")
	if runtime.GOOS == "linux" {
		require.Contains(t, err.Error(), "(process "+strconv.Itoa(os.Getpid())+")")
	}
}

func TestCheckSeesAListenerOnAllInterfaces(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	defer l.Close()
	require.Error(t, port.Check(l.Addr().(*net.TCPAddr).Port, "MailHog"))
}

func TestCheckOfAFreePort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	require.NoError(t, port.Check(p, "MailHog"))
}
