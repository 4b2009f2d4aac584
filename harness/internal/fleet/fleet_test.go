package fleet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errTaken  = errors.New("port taken")
	errBroken = errors.New("no such program")
)

// fakeUnit is a server that is no program. Its fields are set before it is used.
type fakeUnit struct {
	service harness.Service
	ports   []int
	begin   func(try int) error // nil: every start succeeds
	look    func(context.Context) error
	end     func(grace time.Duration) error

	tries   atomic.Int32
	running atomic.Int32
	overlap atomic.Bool
	mu      sync.Mutex
	used    [][]int
	last    *fakeInstance
}

func (u *fakeUnit) Ports() []int             { return u.ports }
func (u *fakeUnit) PortTaken(err error) bool { return errors.Is(err, errTaken) }
func (u *fakeUnit) Info() harness.ServerInfo { return harness.ServerInfo{Service: u.service} }
func (u *fakeUnit) instance() *fakeInstance  { u.mu.Lock(); defer u.mu.Unlock(); return u.last }

func (u *fakeUnit) Begin(_ context.Context, ports []int) (Instance, error) {
	try := int(u.tries.Add(1))
	u.mu.Lock()
	defer u.mu.Unlock()
	u.used = append(u.used, ports)
	if u.begin != nil {
		if err := u.begin(try); err != nil {
			return nil, err
		}
	}
	if u.running.Add(1) > 1 {
		u.overlap.Store(true)
	}
	u.last = &fakeInstance{unit: u, done: make(chan struct{})}
	return u.last, nil
}

type fakeInstance struct {
	unit   *fakeUnit
	once   sync.Once
	done   chan struct{}
	err    error
	frozen atomic.Bool
}

// exit ends the instance.
func (i *fakeInstance) exit(err error) {
	i.once.Do(func() {
		i.err = err
		i.unit.running.Add(-1)
		close(i.done)
	})
}

func (i *fakeInstance) Name() string                 { return string(i.unit.service) }
func (i *fakeInstance) Done() <-chan struct{}        { return i.done }
func (i *fakeInstance) Tail() []string               { return []string{"the end of the log"} }
func (i *fakeInstance) LogFile() string              { return "" }
func (i *fakeInstance) Pause(context.Context) error  { i.frozen.Store(true); return nil }
func (i *fakeInstance) Resume(context.Context) error { i.frozen.Store(false); return nil }

func (i *fakeInstance) Err() error {
	select {
	case <-i.done:
		return i.err
	default:
		return nil
	}
}

func (i *fakeInstance) Look(ctx context.Context) error {
	if i.unit.look == nil {
		return nil
	}
	return i.unit.look(ctx)
}

func (i *fakeInstance) End(_ context.Context, grace time.Duration) error {
	var err error
	if i.unit.end != nil {
		err = i.unit.end(grace)
	}
	i.exit(errors.New("told to end"))
	return err
}

var testOptions = Options{Backend: "fake", StartTimeout: time.Minute, Grace: time.Second, Progress: func(harness.Progress) {}}

func start(t *testing.T, units ...Unit) *Fleet {
	t.Helper()
	f, err := Start(t.Context(), testOptions, units...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close(context.Background())) })
	return f
}

func mailhog() *fakeUnit { return &fakeUnit{service: harness.ServiceMailHog, ports: []int{0, 0}} }

func TestStart_TriesOtherPortsWhenTheyAreTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails   int // how often
		err     error
		starts  int
		wantErr string
	}{
		"at once":                 {starts: 1},
		"on other ports":          {fails: 2, err: errTaken, starts: 3},
		"on none of three":        {fails: 9, err: errTaken, starts: 3, wantErr: "port taken"},
		"not because of its port": {fails: 9, err: errBroken, starts: 1, wantErr: "no such program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := mailhog()
			u.begin = func(try int) error {
				if try <= c.fails {
					return c.err
				}
				return nil
			}
			f, err := Start(t.Context(), testOptions, u)
			require.EqualValues(t, c.starts, u.tries.Load())
			for i := 1; i < len(u.used); i++ {
				require.NotEqual(t, u.used[i-1], u.used[i])
			}
			if c.wantErr != "" {
				require.EqualError(t, err, c.wantErr)
				return
			}
			require.NoError(t, err)
			require.Equal(t, URL(u.used[len(u.used)-1][0]), f.Endpoints().MailHog)
			require.NoError(t, f.Close(t.Context()))
		})
	}
}

func TestStart_KeepsThePortsOfAServerThatHasBeenUsable(t *testing.T) {
	t.Parallel()
	u := mailhog()
	u.begin = func(try int) error {
		if try == 2 {
			return errTaken
		}
		return nil
	}
	f := start(t, u)
	require.NoError(t, f.Stop(t.Context(), harness.ServiceMailHog))
	require.Equal(t, errTaken, f.Start(t.Context(), harness.ServiceMailHog))
	require.NoError(t, f.Start(t.Context(), harness.ServiceMailHog))
	require.NoError(t, f.Start(t.Context(), harness.ServiceMailHog), "it runs already")
	require.Len(t, u.used, 3)
	require.Equal(t, u.used[0], u.used[1])
	require.Equal(t, u.used[0], u.used[2])
}

func TestStart_UsesFixedPorts(t *testing.T) {
	t.Parallel()
	u := mailhog()
	u.ports = []int{4711, 0}
	start(t, u)
	require.Equal(t, 4711, u.used[0][0])
	require.NotZero(t, u.used[0][1])
}

func TestStart_EndsTheOthersWhenOneFails(t *testing.T) {
	t.Parallel()
	ready := make(chan struct{})
	var grace atomic.Int64
	good := &fakeUnit{service: harness.ServiceMongo, ports: []int{0}, end: func(d time.Duration) error { grace.Store(int64(d)); return nil }}
	bad := mailhog()
	bad.begin = func(int) error { <-ready; return errBroken }
	o := testOptions
	o.Progress = func(harness.Progress) { close(ready) }
	_, err := Start(t.Context(), o, good, bad)
	require.EqualError(t, err, "no such program")
	require.Zero(t, good.running.Load())
	require.EqualValues(t, time.Second, grace.Load(), "gracefully")
}

func TestStart_ExplainsWhyAServerIsNotUsable(t *testing.T) {
	t.Parallel()
	o := testOptions
	o.StartTimeout = time.Second
	u := mailhog()
	u.look = func(context.Context) error { return errors.New("it refuses connections") }
	_, err := Start(t.Context(), o, u)
	require.ErrorContains(t, err, "mailhog did not come up: mailhog was not ready after")
	require.ErrorContains(t, err, "it refuses connections")
	require.ErrorContains(t, err, "the end of the log")
	require.Zero(t, u.running.Load(), "it has been ended")

	u = mailhog()
	u.look = func(context.Context) error { u.instance().exit(errBroken); return errors.New("it refuses connections") }
	_, err = Start(t.Context(), testOptions, u)
	require.EqualError(t, err, "mailhog did not come up: no such program")

	u = mailhog()
	u.look = func(context.Context) error { return &MovedError{8025} }
	_, err = Start(t.Context(), testOptions, u)
	require.EqualError(t, err, "mailhog did not come up: port 8025 was taken by another program while Inngest started: "+
		"start again, or let the harness choose with --ports free", "at once")
}

func TestStart_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	u := mailhog()
	o := testOptions
	o.Progress = func(harness.Progress) { cancel(errBroken) }
	_, err := Start(ctx, o, u)
	require.ErrorIs(t, err, errBroken, "it ended just after the last server was usable")
	require.Zero(t, u.running.Load())
}

func TestClose_CallsOffAStart(t *testing.T) {
	t.Parallel()
	u := mailhog()
	looking := make(chan struct{})
	var once sync.Once
	f := start(t, u)
	require.NoError(t, f.Kill(t.Context(), harness.ServiceMailHog))
	u.look = func(context.Context) error { once.Do(func() { close(looking) }); return errors.New("not yet") }
	failed := make(chan error, 1)
	go func() { failed <- f.Start(context.Background(), harness.ServiceMailHog) }()
	<-looking
	require.NoError(t, f.Close(t.Context()))
	require.ErrorContains(t, <-failed, "mailhog cannot be started: its stack is closed")
	require.Zero(t, u.running.Load())
	require.EqualError(t, f.Start(t.Context(), harness.ServiceMailHog), "mailhog cannot be started: its stack is closed")
	require.NoError(t, f.Stop(t.Context(), harness.ServiceMailHog))
	require.EqualError(t, f.Pause(t.Context(), harness.ServiceMailHog), "mailhog is not running")
	require.NoError(t, f.Close(t.Context()), "it may be called again")
}

func TestClose_ReportsWhatFailed(t *testing.T) {
	t.Parallel()
	u := mailhog()
	u.end = func(time.Duration) error { return errBroken }
	f, err := Start(t.Context(), testOptions, u)
	require.NoError(t, err)
	require.Equal(t, errBroken, f.Close(t.Context()))

	o := testOptions
	o.EndAll = func(context.Context) error { u.instance().exit(nil); return errTaken }
	f, err = Start(t.Context(), o, u)
	require.NoError(t, err)
	require.Equal(t, errTaken, f.Close(t.Context()), "the unit is not asked to end")
}

func TestDone_ClosesWhenAServerDies(t *testing.T) {
	t.Parallel()
	u := mailhog()
	f := start(t, u)
	require.NoError(t, f.Err())
	u.instance().exit(errBroken)
	<-f.Done()
	require.Equal(t, errBroken, f.Err())
	require.EqualError(t, f.Pause(t.Context(), harness.ServiceMailHog), "mailhog is not running")
	require.NoError(t, f.Start(t.Context(), harness.ServiceMailHog), "it can be started again")
	u.instance().exit(errTaken)
	require.Equal(t, errBroken, f.Err(), "the first exit stays")
}

func TestDone_StaysOpenWhenAServerIsToldToEnd(t *testing.T) {
	t.Parallel()
	u := mailhog()
	f := start(t, u)
	for range 20 {
		require.NoError(t, f.Stop(t.Context(), harness.ServiceMailHog))
		require.NoError(t, f.Start(t.Context(), harness.ServiceMailHog))
		require.NoError(t, f.Kill(t.Context(), harness.ServiceMailHog))
		require.NoError(t, f.Kill(t.Context(), harness.ServiceMailHog), "it has ended already")
		require.NoError(t, f.Start(t.Context(), harness.ServiceMailHog))
	}
	require.NoError(t, f.Close(t.Context()))
	select {
	case <-f.Done():
		require.Fail(t, "a server that was told to end has not crashed", "%v", f.Err())
	default:
	}
	require.NoError(t, f.Err())
}

func TestFleet_SerialisesStartsAndStops(t *testing.T) {
	t.Parallel()
	u := mailhog()
	f := start(t, u)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				switch i % 4 {
				case 0:
					_ = f.Stop(context.Background(), harness.ServiceMailHog)
				case 1:
					_ = f.Kill(context.Background(), harness.ServiceMailHog)
				case 2:
					_ = f.Start(context.Background(), harness.ServiceMailHog)
				default: // as a dashboard does
					f.Tail(harness.ServiceMailHog)
					f.Describe()
					f.Endpoints()
				}
			}
		})
	}
	all.Wait()
	require.False(t, u.overlap.Load(), "two instances ran at the same time")
	require.NoError(t, f.Start(t.Context(), harness.ServiceMailHog))
	require.EqualValues(t, 1, u.running.Load())
	require.NoError(t, f.Close(t.Context()))
	require.Zero(t, u.running.Load())
	require.NoError(t, f.Err())
}

func TestFleet_PausesWhatRuns(t *testing.T) {
	t.Parallel()
	u := mailhog()
	f := start(t, u)
	require.NoError(t, f.Pause(t.Context(), harness.ServiceMailHog))
	require.True(t, u.instance().frozen.Load())
	require.NoError(t, f.Resume(t.Context(), harness.ServiceMailHog))
	require.False(t, u.instance().frozen.Load())
	require.NoError(t, f.Stop(t.Context(), harness.ServiceMailHog))
	require.EqualError(t, f.Resume(t.Context(), harness.ServiceMailHog), "mailhog is not running")
}

func TestFleet_KnowsItsServices(t *testing.T) {
	t.Parallel()
	f := start(t, mailhog())
	for _, err := range []error{
		f.Start(t.Context(), harness.ServiceMongo), f.Stop(t.Context(), harness.ServiceMongo), f.Kill(t.Context(), harness.ServiceMongo),
		f.Pause(t.Context(), harness.ServiceMongo), f.Resume(t.Context(), harness.ServiceMongo),
	} {
		require.EqualError(t, err, `the fake backend runs no service "mongo"`)
	}
	require.Empty(t, f.Tail(harness.ServiceMongo))
	require.Equal(t, []string{"the end of the log"}, f.Tail(harness.ServiceMailHog))
	require.Equal(t, []harness.ServerInfo{{Service: harness.ServiceMailHog}}, f.Describe())
	require.Empty(t, f.Endpoints().Inngest)
	require.Empty(t, f.Endpoints().Mongo)
	reached, err := f.Reach(t.Context(), "127.0.0.1:3000")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:3000", reached)
}

func TestFleet_Describe_IsInOneOrder(t *testing.T) {
	t.Parallel()
	f := start(t, &fakeUnit{service: harness.ServiceInngest, ports: []int{0}}, mailhog(), &fakeUnit{service: harness.ServiceMongo, ports: []int{0}})
	require.Equal(t, []harness.ServerInfo{{Service: harness.ServiceMongo}, {Service: harness.ServiceMailHog}, {Service: harness.ServiceInngest}}, f.Describe())
	ends := f.Endpoints()
	require.Regexp(t, `^mongodb://127\.0\.0\.1:\d+/\?directConnection=true$`, ends.Mongo)
	require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, ends.Inngest)
	require.Regexp(t, `^127\.0\.0\.1:\d+$`, ends.SMTP)
}

func TestWanted(t *testing.T) {
	t.Parallel()
	all, err := Wanted("fake", harness.BackendOptions{})
	require.NoError(t, err)
	require.Equal(t, []harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceInngest}, all)
	some, err := Wanted("fake", harness.BackendOptions{Services: []harness.Service{harness.ServiceInngest, harness.ServiceMongo}})
	require.NoError(t, err)
	require.Equal(t, []harness.Service{harness.ServiceMongo, harness.ServiceInngest}, some)
	_, err = Wanted("fake", harness.BackendOptions{Services: []harness.Service{harness.ServiceApp}})
	require.EqualError(t, err, `the fake backend runs no service "app"`)
}

func TestSerialised(t *testing.T) {
	t.Parallel()
	Serialised(nil)(harness.Progress{})
	count := 0
	progress := Serialised(func(harness.Progress) { count++ })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { progress(harness.Progress{}) })
	}
	all.Wait()
	require.Equal(t, 50, count)
}

func TestStart_ReplacesAServerThatHasJustExited(t *testing.T) {
	t.Parallel()
	for range 200 { // the exit and the start race
		u := mailhog()
		f := start(t, u)
		u.instance().exit(errBroken)
		require.NoError(t, f.Start(t.Context(), harness.ServiceMailHog))
		require.EqualValues(t, 2, u.tries.Load(), "the one that exited is not taken for running")
		<-f.Done()
		require.ErrorIs(t, f.Err(), errBroken, "the exit is reported all the same")
		require.NoError(t, f.Close(t.Context())) // it frees its ports: 200 open fleets exhaust them
	}
}

func TestFleet_WaitsForAnotherCallAsLongAsItsContext(t *testing.T) {
	t.Parallel()
	u := mailhog()
	f := start(t, u)
	require.NoError(t, f.Stop(t.Context(), harness.ServiceMailHog))
	looking, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	u.look = func(context.Context) error {
		once.Do(func() { close(looking) })
		<-goOn
		return nil
	}
	started := make(chan error, 1)
	go func() { started <- f.Start(t.Context(), harness.ServiceMailHog) }()
	<-looking
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.EqualError(t, f.Stop(ctx, harness.ServiceMailHog), "wait until another call has started or stopped mailhog: context canceled")
	require.ErrorIs(t, f.Pause(ctx, harness.ServiceMailHog), context.Canceled)
	close(goOn)
	require.NoError(t, <-started)
}
