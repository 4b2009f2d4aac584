package upkeep_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/upkeep"
)

var (
	errTaken = errors.New("port taken")
	errOther = errors.New("no other port")
)

func TestStart(t *testing.T) {
	t.Parallel()
	yes := func(error) (bool, error) { return true, nil }
	no := func(error) (bool, error) { return false, nil }
	for name, c := range map[string]*struct {
		state   upkeep.State
		fails   int // how often
		other   func(error) (bool, error)
		starts  int
		wantErr string
	}{
		"at once":                           {starts: 1},
		"up already":                        {state: upkeep.State{Wanted: true}, fails: 1},
		"on other ports":                    {fails: 2, other: yes, starts: 3},
		"on none of three":                  {fails: 9, other: yes, starts: 3, wantErr: "port taken"},
		"not a matter of ports":             {fails: 9, other: no, starts: 1, wantErr: "port taken"},
		"there are no others":               {fails: 9, other: func(error) (bool, error) { return true, errOther }, starts: 1, wantErr: "no other port"},
		"it has been up and keeps its own":  {state: upkeep.State{Settled: true}, fails: 9, other: yes, starts: 1, wantErr: "port taken"},
		"it has been up, and comes up anew": {state: upkeep.State{Settled: true}, starts: 1},
		"its stack is closed":               {state: upkeep.State{Freed: true}, wantErr: "mongo cannot be started: its stack is closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			starts := 0
			err := c.state.Start(harness.ServiceMongo, func() error {
				if starts++; starts <= c.fails {
					return errTaken
				}
				return nil
			}, c.other)
			require.Equal(t, c.starts, starts)
			if c.wantErr != "" {
				require.EqualError(t, err, c.wantErr)
				require.False(t, c.state.Wanted)
				return
			}
			require.NoError(t, err)
			require.True(t, c.state.Wanted)
		})
	}
}

func TestOnlyAServerThatIsWantedIsMourned(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	close(done)
	died := make(chan error, 1)
	mourn := func(s *upkeep.State, current bool) {
		s.Mourn(done, func() bool { return current }, func() error { return errTaken }, died)
	}
	mourn(&upkeep.State{}, true)
	mourn(&upkeep.State{Wanted: true}, false)
	require.Empty(t, died)
	s := &upkeep.State{Wanted: true}
	mourn(s, true)
	require.False(t, s.Wanted)
	mourn(&upkeep.State{Wanted: true}, true)
	require.Equal(t, errTaken, <-died)
	require.Empty(t, died, "one death is told, and nobody waits for it to be heard")
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	ports := map[harness.Service][]int{harness.ServiceMailHog: {1, 2}, harness.ServiceMongo: {3}}
	of := func(s harness.Service) []int { return ports[s] }
	want := harness.Endpoints{MailHog: "http://127.0.0.1:1", SMTP: "127.0.0.1:2", Mongo: "mongodb://127.0.0.1:3/?directConnection=true"}
	require.Equal(t, want, upkeep.Endpoints(of))
	ports[harness.ServiceInngest] = []int{4, 5}
	want.Inngest = "http://127.0.0.1:4"
	require.Equal(t, want, upkeep.Endpoints(of))
}

func TestPorts(t *testing.T) {
	t.Parallel()
	ports, err := upkeep.Ports([]int{4711, 0, 0})
	require.NoError(t, err)
	require.Equal(t, 4711, ports[0])
	require.NotZero(t, ports[1])
	require.NotZero(t, ports[2])
	require.NotEqual(t, ports[1], ports[2])
}

func TestProgressIsToldByOneAtATime(t *testing.T) {
	t.Parallel()
	upkeep.Serialised(nil)(harness.Progress{})
	told := 0
	tell := upkeep.Serialised(func(harness.Progress) { told++ })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { tell(harness.Progress{}) })
	}
	all.Wait()
	require.Equal(t, 50, told)
}
