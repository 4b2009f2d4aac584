package fleet

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestKeepUp_StartsAServerAgainUntilItIsUsable(t *testing.T) {
	t.Parallel()
	u := &fakeUnit{service: harness.ServiceInngest, ports: []int{0}}
	u.begin = func(try int) error {
		if try == 2 { // its database is still away
			return errBroken
		}
		return nil
	}
	o := testOptions
	o.KeepUp = []harness.Service{u.service}
	f, err := Start(t.Context(), o, u)
	require.NoError(t, err)
	u.instance().exit(errors.New("its database went away"))
	require.Eventually(t, func() bool { return u.tries.Load() == 3 && u.running.Load() == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, f.Err())
	require.NoError(t, f.Start(t.Context(), u.service), "it is usable")

	require.NoError(t, f.Kill(t.Context(), u.service))
	require.EqualValues(t, 0, u.running.Load())
	require.NoError(t, f.Start(t.Context(), u.service))
	require.EqualValues(t, 4, u.tries.Load(), "what was told to end is started once, by the one who asks for it")

	u.instance().exit(errors.New("it exits while the fleet closes"))
	require.NoError(t, f.Close(t.Context()))
	require.EqualValues(t, 0, u.running.Load())
}

func TestAfter_WaitsForWhatAServerNeeds(t *testing.T) {
	t.Parallel()
	redis := &fakeUnit{service: harness.ServiceRedis, ports: []int{0}}
	inngest := &fakeUnit{service: harness.ServiceInngest, ports: []int{0}}
	inngest.begin = func(int) error {
		if redis.running.Load() == 0 {
			return errors.New("started before Redis")
		}
		return nil
	}
	freed := 0
	o := testOptions
	o.After = map[harness.Service][]harness.Service{harness.ServiceInngest: {harness.ServiceRedis}}
	o.Free = func() error { freed++; return nil }
	f, err := Start(t.Context(), o, inngest, redis)
	require.NoError(t, err)
	require.NoError(t, f.Close(t.Context()))
	require.Equal(t, 1, freed)

	redis.begin = func(int) error { return errBroken }
	_, err = Start(t.Context(), o, inngest, redis)
	require.ErrorIs(t, err, errBroken)
	require.EqualValues(t, 1, inngest.tries.Load(), "it was not started without Redis")
	require.Equal(t, 2, freed, "also after a start that failed")
}

func TestWanted_HasRedisAndPostgreSQLForKeys(t *testing.T) {
	t.Parallel()
	keys := harness.Keys{Event: "e", Signing: "ab"}
	wanted, err := Wanted("fake", harness.BackendOptions{Services: []harness.Service{harness.ServiceInngest}, Keys: keys})
	require.NoError(t, err)
	require.Equal(t, []harness.Service{harness.ServiceRedis, harness.ServicePostgres, harness.ServiceInngest}, wanted)
	_, err = Wanted("fake", harness.BackendOptions{Services: []harness.Service{harness.ServiceRedis}})
	require.EqualError(t, err, `the fake backend runs no service "redis"`)
}
