package port

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if first, err := strconv.Atoi(os.Getenv("PORT_TEST_RESERVE")); err == nil { // another process: see reserveElsewhere
		if reserve(first, first+blockSize-1, blockSize).mark == nil {
			fmt.Println("taken")
		} else {
			fmt.Println("reserved")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestFree_DoesNotRepeatPortsSoon(t *testing.T) {
	t.Parallel()
	b := reserve(lowest, highest, blockSize)
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

func TestKeep_IsNotReturnedWhileKept(t *testing.T) {
	t.Parallel()
	b := reserve(lowest, highest, blockSize)
	defer b.mark.Close()
	kept := b.next()
	b.keep([]int{kept}, true)
	for range 2 * blockSize {
		require.NotEqual(t, kept, b.next())
	}
	b.keep([]int{kept}, false)
	seen := map[int]bool{}
	for range blockSize {
		seen[b.next()] = true
	}
	require.True(t, seen[kept])
}

func TestFree_ProcessesHaveDifferentBlocks(t *testing.T) {
	t.Parallel()
	b := reserve(lowest, highest, blockSize)
	require.Equal(t, "taken\n", reserveElsewhere(t, b.first))
	require.NoError(t, b.mark.Close()) // as the end of this process would
	require.Equal(t, "reserved\n", reserveElsewhere(t, b.first))
}

// reserveElsewhere returns what happens when another process reserves this block.
func reserveElsewhere(t *testing.T, first int) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT_TEST_RESERVE=%d", first))
	out, err := cmd.Output()
	require.NoError(t, err)
	return string(out)
}

func TestFree_AvoidsMongoDBsPort(t *testing.T) {
	t.Parallel()
	b := &block{first: mongoPort - 1, size: 3}
	l, err := b.listen()
	require.NoError(t, err)
	defer l.Close()
	require.NotEqual(t, mongoPort, l.Addr().(*net.TCPAddr).Port)
}

func TestFree_SkipsPortsInUse(t *testing.T) {
	t.Parallel()
	b := reserve(lowest, highest, blockSize)
	defer b.mark.Close()
	held, err := listen(b.first + 1)
	require.NoError(t, err)
	defer held.Close()
	l, err := b.listen()
	require.NoError(t, err)
	defer l.Close()
	require.True(t, strings.HasSuffix(l.Addr().String(), fmt.Sprint(":", b.first+2)))
}

func TestFree_AsksTheSystemWithoutABlock(t *testing.T) {
	t.Parallel()
	taken := reserve(lowest, highest, blockSize)
	defer taken.mark.Close()
	none := reserve(taken.first, taken.first+blockSize-1, blockSize)
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
