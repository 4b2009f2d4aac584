package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Where ports are chosen: below those that systems give to outgoing connections and to whoever listens on port zero, of
// which one could be gone again before a server has been started on it.
const (
	lowest    = 15000
	highest   = 32767
	blockSize = 200
)

// mongoPort is within that range, and is left to what everybody looks for there.
const mongoPort = 27017

// Free returns n different ports that are free on the loopback interface. It returns none of them again before some
// 200 others, and no other process is given one: each has a block of ports of its own, as long as it lives. Only a
// program that chooses its ports in another way can take one before it is used, or where some 90 processes have used up
// all blocks: whoever starts a server has to be ready to ask again. It is safe for concurrent use.
func Free(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		// The listeners stay open until all ports are chosen, which is what keeps ports different that the system chose.
		l, err := own().listen()
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// own is this process's block. There is one, whoever asks: two would be no different from two processes without any.
var own = sync.OnceValue(func() *block { return claim(lowest, highest, blockSize) })

// block is a range of ports. Its first one is listened on, which is how other processes know that it is taken; that ends
// with the process, however it ends. The zero value has no ports, and leaves the choice to the system.
type block struct {
	mark        net.Listener
	first, size int

	mu   sync.Mutex
	last int // offset of the port returned last
}

// claim takes one of the blocks from lowest to highest that nobody has, beginning anywhere, or returns an empty one.
func claim(lowest, highest, size int) *block {
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

func (b *block) next() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = b.last%(b.size-1) + 1
	return b.first + b.last
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
