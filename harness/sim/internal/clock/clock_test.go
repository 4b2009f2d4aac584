package clock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJumps_TakeNoWallTime(t *testing.T) {
	t.Parallel()
	wall := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	ahead := time.Hour // of the virtual clock, from the start
	virtual := wall.Add(ahead)
	var j jumps
	require.Equal(t, wall, j.wall(virtual, ahead), "before any jump")

	at := func(d time.Duration) time.Time { return virtual.Add(d) }
	j.add(jump{from: at(time.Second), by: 24 * time.Hour, wall: wall.Add(time.Second)})
	j.add(jump{from: at(24*time.Hour + 3*time.Second), by: time.Minute, wall: wall.Add(3 * time.Second)})
	offset := ahead + 24*time.Hour + time.Minute
	for virtual, want := range map[time.Duration]time.Duration{
		0:                            0,
		time.Second:                  time.Second,
		time.Hour:                    time.Second, // jumped over
		24*time.Hour + time.Second:   time.Second,
		24*time.Hour + 2*time.Second: 2 * time.Second,
		24*time.Hour + 4*time.Second: 3 * time.Second, // jumped over
		24*time.Hour + time.Minute + 5*time.Second: 5 * time.Second,
	} {
		require.Equal(t, wall.Add(want), j.wall(at(virtual), offset), "%v after the start", virtual)
	}
}

func TestJumps_ForgetsOldestFirst(t *testing.T) {
	t.Parallel()
	wall := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var j jumps
	for i := range 3 * maxJumps {
		j.add(jump{from: wall.Add(time.Duration(i) * time.Hour), by: time.Hour, wall: wall})
	}
	require.LessOrEqual(t, len(j), maxJumps)
	require.Equal(t, wall, j.wall(wall.Add(3*maxJumps*time.Hour), 0))
}
