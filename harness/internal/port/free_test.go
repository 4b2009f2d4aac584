package port

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if os.Getenv("PORT_TEST_FREE") == "1" { // the other process of TestNoTwoProcessesAreGivenTheSamePort
		ports, err := Free(3)
		fmt.Println(ports, err)
		_, _ = os.Stdin.Read(make([]byte, 1)) // it lives until it is told to end
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestNoPortIsGivenAgainSoon(t *testing.T) {
	t.Parallel()
	b := claim(lowest, highest, blockSize)
	defer b.mark.Close()
	seen := map[int]int{}
	for i := range 3 * blockSize {
		l, err := b.listen()
		require.NoError(t, err)
		p := l.Addr().(*net.TCPAddr).Port
		require.NoError(t, l.Close())
		require.Greater(t, p, b.first)
		require.Less(t, p, b.first+blockSize)
		if before, again := seen[p]; again {
			require.Greater(t, i-before, blockSize/2)
		}
		seen[p] = i
	}
}

func TestNoTwoProcessesAreGivenTheSamePort(t *testing.T) {
	t.Parallel()
	blocks := map[int]bool{}
	for range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PORT_TEST_FREE=1")
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		defer func() {
			require.NoError(t, in.Close())
			require.NoError(t, cmd.Wait())
		}()
		var ports [3]int
		_, err = fmt.Fscanf(out, "[%d %d %d] <nil>\n", &ports[0], &ports[1], &ports[2])
		require.NoError(t, err)
		first := (ports[0]-lowest)/blockSize*blockSize + lowest
		require.False(t, blocks[first], "the block at %d is another process's", first)
		blocks[first] = true
	}
	require.NotContains(t, blocks, own().first)
}

func TestAPortInUseIsPassedOver(t *testing.T) {
	t.Parallel()
	b := claim(lowest, highest, blockSize)
	defer b.mark.Close()
	held, err := listen(b.first + 1)
	require.NoError(t, err)
	defer held.Close()
	l, err := b.listen()
	require.NoError(t, err)
	defer l.Close()
	require.True(t, strings.HasSuffix(l.Addr().String(), fmt.Sprint(":", b.first+2)))
}

func TestWithoutABlockTheSystemChooses(t *testing.T) {
	t.Parallel()
	taken := claim(lowest, highest, blockSize)
	defer taken.mark.Close()
	none := claim(taken.first, taken.first+blockSize-1, blockSize)
	require.Nil(t, none.mark, "the only block is taken")
	l, err := none.listen()
	require.NoError(t, err)
	require.NoError(t, l.Close())

	// A block that is used up.
	all := make([]net.Listener, 0, blockSize)
	for range blockSize {
		l, err := taken.listen()
		require.NoError(t, err)
		all = append(all, l)
	}
	outside := all[len(all)-1].Addr().(*net.TCPAddr).Port
	require.False(t, outside >= taken.first && outside < taken.first+blockSize, "port %d is chosen by the system", outside)
	for _, l := range all {
		require.NoError(t, l.Close())
	}
}
