package port_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
)

func TestFree(t *testing.T) {
	t.Parallel()
	ports, err := port.Free(20)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, p := range ports {
		require.False(t, seen[p], "port %d twice", p)
		seen[p] = true
	}
}

func TestCheck_NamesTheHolderAndTheRemedy(t *testing.T) {
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

func TestCheckAll_ListsAllTakenPorts(t *testing.T) {
	t.Parallel()
	var wishes []port.Wish
	for _, name := range []string{"the app", "Inngest"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		wishes = append(wishes, port.Wish{Port: l.Addr().(*net.TCPAddr).Port, For: name})
	}
	err := port.CheckAll(append(wishes, port.Wish{For: "MongoDB"})...)
	require.Regexp(t, fmt.Sprintf(`^2 ports are in use:
  port %d, wanted for the app, is in use by [^:]*
  port %d, wanted for Inngest, is in use by [^:]*
end these programs, or let the harness choose with --ports free$`, wishes[0].Port, wishes[1].Port), err.Error())
	var te *port.TakenError
	require.ErrorAs(t, err, &te)

	err = port.CheckAll(wishes[:1]...)
	require.ErrorContains(t, err, "the app, is in use by ")
	require.NoError(t, port.CheckAll(port.Wish{For: "MongoDB"}), "any free one")
}

func TestCheck_FindsAListenerOnAllInterfaces(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	defer l.Close()
	require.Error(t, port.Check(l.Addr().(*net.TCPAddr).Port, "MailHog"))
}

func TestCheck_FreePort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	require.NoError(t, port.Check(p, "MailHog"))
}
