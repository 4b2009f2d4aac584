package engine

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/odoo-maintenance/inngest-harness/harness/sim/internal/clock"
)

// source draws what is left to chance: ids and jitter.
type source struct {
	rng   *rand.Rand
	clock *clock.Clock
	seeds recent[ulid.ULID] // ids given to the latest requests that may be repeated
}

const maxSeeds = 10_000

func newSource(seed uint64, c *clock.Clock) source {
	return source{rng: rand.New(rand.NewPCG(seed, 0x1b873593)), clock: c, seeds: newRecent[ulid.ULID](maxSeeds)}
}

// ulid draws an id, at the virtual time as far as the API shows it.
func (s *source) ulid() ulid.ULID { return s.ulidAt(s.clock.Now()) }

func (s *source) ulidAt(at time.Time) ulid.ULID {
	var id ulid.ULID
	var entropy [10]byte
	binary.BigEndian.PutUint64(entropy[:8], s.rng.Uint64())
	binary.BigEndian.PutUint16(entropy[8:], uint16(s.rng.Uint32()))
	// Neither can fail: the time is far below the largest and the entropy has the right length.
	_ = id.SetTime(uint64(s.clock.Shown(at).UnixMilli()))
	_ = id.SetEntropy(entropy[:])
	return id
}

// ulidAfter draws an id that is later than another one.
func (s *source) ulidAfter(other ulid.ULID) ulid.ULID {
	id := s.ulid()
	if id.Time() <= other.Time() {
		_ = id.SetTime(other.Time() + 1) // as above
	}
	return id
}

// jitter draws a duration below limit.
func (s *source) jitter(limit time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(limit)))
}

// seeded returns the id of the n-th event of a request with this seed, so that a client which repeats a request sends
// nothing twice; the zero id if the request has no seed. The text of the seed is random (the SDK draws it), so it is only
// a key here: the id itself is drawn once from this source.
func (s *source) seeded(seed string, n int) ulid.ULID {
	millis, entropy, ok := strings.Cut(seed, ",")
	if !ok {
		return ulid.ULID{}
	}
	if ms, err := strconv.ParseInt(millis, 10, 64); err != nil || ms <= 0 {
		return ulid.ULID{}
	}
	if b, err := base64.StdEncoding.DecodeString(entropy); err != nil || len(b) != 10 {
		return ulid.ULID{}
	}
	key := seed + "#" + strconv.Itoa(n)
	if id, known := s.seeds.values[key]; known {
		return id
	}
	id := s.ulid()
	s.seeds.put(key, id)
	return id
}
