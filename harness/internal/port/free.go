package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The range of ports to choose from. It is below the ephemeral ports that systems give to outgoing connections and to listeners
// on port zero, since one of those could be taken before a server is started on it.
const (
	lowest    = 15000
	highest   = 32767
	blockSize = 200
)

// mongoPort is within that range and is not used: it is the default port of MongoDB.
const mongoPort = 27017

// Free returns n different ports that are free on the loopback interface. It does not return one of them again before some 200
// others, and it returns them to no other process: each has its own block of ports as long as it runs. A program that chooses
// its ports in another way may still take one before it is used, as may another process when some 90 of them have used up all
// blocks: the caller has to be ready to ask again. It is safe for concurrent use.
func Free(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		// The listeners stay open until all ports are chosen, so that those that the system chooses are different.
		l, err := own().listen()
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// own is this process's block.
var own = sync.OnceValue(func() *block { return reserve(lowest, highest, blockSize) })

// block is a range of ports. The process listens on the first one, which shows other processes that the block is taken, until it
// ends. The zero value has no ports and leaves the choice to the system.
type block struct {
	mark        net.Listener
	first, size int

	mu   sync.Mutex
	last int          // offset of the port returned last
	kept map[int]bool // ports that are not returned: see Keep
}

// Keep makes Free return none of these ports until free is called: those of a server that is down and is to come back on them.
func Keep(ports []int) (free func()) {
	b := own()
	b.keep(ports, true)
	return func() { b.keep(ports, false) }
}

// reserve takes a free block between lowest and highest, beginning at a random one. It returns an empty block when none is free.
func reserve(lowest, highest, size int) *block {
	n := (highest + 1 - lowest) / size
	begin := rand.IntN(n)
	for i := range n {
		first := lowest + (begin+i)%n*size
		if mark, err := listen(first); err == nil {
			return &block{mark: mark, first: first, size: size}
		}
	}
	return &block{}
}

// listen listens on the next port of the block that is free, or on one that the system chooses where none is.
func (b *block) listen() (net.Listener, error) {
	for range b.size - 1 {
		port := b.next()
		if port == mongoPort {
			continue
		}
		if l, err := listen(port); err == nil {
			return l, nil
		}
	}
	return listen(0)
}

// next returns the next port that is not kept; where all are, one that is.
func (b *block) next() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.size - 1 {
		b.last = b.last%(b.size-1) + 1
		if !b.kept[b.first+b.last] {
			break
		}
	}
	return b.first + b.last
}

func (b *block) keep(ports []int, kept bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == nil {
		b.kept = map[int]bool{}
	}
	for _, p := range ports {
		b.kept[p] = kept
	}
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
