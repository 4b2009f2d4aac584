package backendtest

import (
	"cmp"
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/bridge"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/port"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/ranlog"
	"github.com/odoo-maintenance/inngest-harness/harness/stack"
)

// Caps says what a backend can do, and gives the suite the means that differ between backends.
type Caps struct {
	// Attached says that the servers were there before and stay: they are neither started nor stopped. The tests
	// of starting and stopping then check that this is refused.
	Attached bool

	// MailCatcher is the mail catcher of the stacks. Empty: MailHog.
	MailCatcher harness.MailCatcher

	// Broken makes a backend whose Inngest server does not come up while the others do. Required unless Attached.
	Broken func(testing.TB) harness.Backend

	// Crash kills a server of the stack in dir from outside. Required unless Attached.
	Crash func(tb testing.TB, dir string, s harness.Service)

	// Leftovers lists what the backend's stacks have made on this machine and not yet removed, processes or
	// containers, sorted. Required unless Attached.
	Leftovers func(testing.TB) []string
}

// startTime bounds the start of a stack, which may include builds or pulls.
const startTime = 10 * time.Minute

// hopTime bounds the way from an event to its email.
const hopTime = 20 * time.Second

var servers = []harness.Service{harness.ServiceMongo, harness.ServiceMailHog, harness.ServiceInngest}

// Run runs the suite. make is called for each stack that is started, from several goroutines at once; it may return
// the same backend each time.
func Run(t *testing.T, make func(testing.TB) harness.Backend, caps Caps) {
	s := &suite{make, caps}
	t.Run("a stack works", s.works)
	if caps.Attached {
		t.Run("control is refused", s.refuses)
		return
	}
	t.Run("a server is controlled", s.controlled)
	t.Run("some services", s.someServices)
	t.Run("a replica set", s.replicaSet)
	t.Run("an address of this machine is reached", s.reach)
	t.Run("a crash is reported", s.crash)
	t.Run("two start in parallel", s.parallel)
	t.Run("fixed ports are used", s.fixedPorts)
	t.Run("a port that is taken", s.portTaken)
	t.Run("a start that fails half-way frees everything", s.halfWay)
	t.Run("a start that is cancelled frees everything", s.cancelled)
	t.Run("nothing is left", func(t *testing.T) { require.Empty(t, caps.Leftovers(t)) })
}

type suite struct {
	make func(testing.TB) harness.Backend
	caps Caps
}

// start starts a stack with the suite's app. It is closed with the test.
func (s *suite) start(t *testing.T, o stack.Options) *env {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	o.Dir, o.MailCatcher = t.TempDir(), s.caps.MailCatcher
	st, err := stack.Start(ctx, s.make(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close(context.Background())) })
	require.NoError(t, ranlog.Note(st.Backend(), st.Describe()))
	require.NoError(t, st.RunHandler(ctx, newApp))
	return &env{st}
}

// onlyMail are the options of a start of the mail catcher alone.
func (s *suite) onlyMail(dir string) harness.BackendOptions {
	return harness.BackendOptions{Dir: dir, Services: []harness.Service{harness.ServiceMailHog}, MailCatcher: s.caps.MailCatcher}
}

func (s *suite) works(t *testing.T) {
	st := s.start(t, stack.Options{})
	t.Run("all endpoints are usable", func(t *testing.T) { st.checkUsable(t) })
	t.Run("the servers are described in sequence", func(t *testing.T) {
		var names []harness.Service
		for _, i := range st.Describe() {
			names = append(names, i.Service)
			require.NotEmpty(t, i.Version, "version of %s", i.Service)
			require.NotEmpty(t, i.Source, "source of %s", i.Service)
		}
		require.Equal(t, servers, names)
		require.Regexp(t, `^(MongoDB \d|FerretDB.*stand-in)`, st.Describe()[0].Version, "it says which database runs")
	})
	t.Run("the app is synced", func(t *testing.T) { require.Contains(t, st.functions(t), functionID) })
	t.Run("an event leads to an email", func(t *testing.T) { st.eventToEmail(t) })
	t.Run("an app that the server knows is not synced again", func(t *testing.T) {
		again, err := st.App().EnsureSynced(t.Context())
		require.NoError(t, err)
		require.False(t, again)
	})
	if !s.caps.Attached {
		t.Run("logs are kept in files and at hand", func(t *testing.T) { st.checkLogs(t) })
	}
}

// replicaSet runs on MongoDB itself. On its stand-in it is refused.
func (s *suite) replicaSet(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	o := harness.BackendOptions{Dir: t.TempDir(), Services: servers[:1]}
	plain, err := s.make(t).Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close(context.Background())) })
	o.Dir, o.ReplicaSet = t.TempDir(), true
	set, err := s.make(t).Start(ctx, o)
	if !strings.HasPrefix(plain.Describe()[0].Version, "MongoDB ") {
		require.ErrorIs(t, err, harness.ErrUnsupported)
		require.ErrorContains(t, err, "set MONGOD_BIN to a mongod, or use the containers backend with the official image")
		return
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, set.Close(context.Background())) })
	require.Contains(t, set.Endpoints().Mongo, "/?replicaSet=")
	for _, again := range []func(context.Context, harness.Service) error{nil, set.Stop, set.Kill} {
		if again != nil {
			require.NoError(t, again(ctx, harness.ServiceMongo))
			require.NoError(t, set.Start(ctx, harness.ServiceMongo))
		}
		transactionIsWatched(t, set.Endpoints().Mongo)
	}
}

// transactionIsWatched inserts two documents in a transaction, and sees both in a change stream.
func transactionIsWatched(t *testing.T, uri string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Disconnect(context.Background())) }()
	coll := client.Database("suite").Collection("documents")
	changes, err := coll.Watch(ctx, mongo.Pipeline{})
	require.NoError(t, err)
	defer changes.Close(ctx)
	session, err := client.StartSession()
	require.NoError(t, err)
	defer session.EndSession(ctx)
	_, err = session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
		return coll.InsertMany(ctx, []any{bson.M{"n": 1}, bson.M{"n": 2}})
	})
	require.NoError(t, err)
	for range 2 {
		require.True(t, changes.Next(ctx), "%v", changes.Err())
	}
}

func (s *suite) refuses(t *testing.T) {
	st := s.start(t, stack.Options{})
	for name, control := range map[string]func(context.Context, harness.Service) error{
		"stop": st.Stop, "kill": st.Kill, "start": st.Start, "pause": st.Pause, "resume": st.Resume,
	} {
		for _, server := range servers {
			err := control(t.Context(), server)
			require.ErrorIs(t, err, harness.ErrUnsupported, "%s %s", name, server)
			require.Contains(t, err.Error(), string(server))
		}
	}
	require.NoError(t, st.Close(t.Context()))
	st.checkUsable(t) // they outlive the stack
	_, err := s.make(t).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir(), Services: servers[:1]})
	require.ErrorIs(t, err, harness.ErrUnsupported)
}

func (s *suite) controlled(t *testing.T) {
	st := s.start(t, stack.Options{})
	before := st.Endpoints()
	for _, server := range servers {
		t.Run("restart "+string(server), func(t *testing.T) {
			require.NoError(t, st.Restart(t.Context(), server))
			require.Equal(t, before, st.Endpoints())
			st.eventToEmail(t)
		})
		t.Run("kill and run "+string(server), func(t *testing.T) {
			require.NoError(t, st.Kill(t.Context(), server))
			require.Error(t, st.usable(t.Context(), server))
			require.NoError(t, st.Start(t.Context(), server))
			require.Equal(t, before, st.Endpoints())
			st.eventToEmail(t)
		})
		t.Run("pause and resume "+string(server), func(t *testing.T) {
			require.NoError(t, st.Pause(t.Context(), server))
			st.requireFrozen(t, server)
			require.NoError(t, st.Resume(t.Context(), server))
			require.NoError(t, st.usable(t.Context(), server))
			st.eventToEmail(t)
		})
	}
	t.Run("what is asked for twice is done once", func(t *testing.T) {
		require.NoError(t, st.Start(t.Context(), harness.ServiceMailHog), "it is up already")
		require.NoError(t, st.Stop(t.Context(), harness.ServiceMailHog))
		require.NoError(t, st.Stop(t.Context(), harness.ServiceMailHog))
		require.ErrorContains(t, st.Pause(t.Context(), harness.ServiceMailHog), "mailhog is not running")
		require.NoError(t, st.Start(t.Context(), harness.ServiceMailHog))
	})
	t.Run("it may be started and stopped concurrently", func(t *testing.T) { st.checkConcurrentControl(t) })
	t.Run("no such service", func(t *testing.T) {
		require.ErrorContains(t, st.Stop(t.Context(), "postgres"), `runs no service "postgres"`)
	})
	t.Run("Close is the end", func(t *testing.T) {
		require.NoError(t, st.Close(t.Context()))
		require.NoError(t, st.Close(t.Context()), "it may be called again")
		for _, server := range servers {
			require.Error(t, st.usable(t.Context(), server))
		}
		require.ErrorContains(t, st.Start(t.Context(), harness.ServiceMailHog), "its stack is closed")
	})
}

// someServices starts a backend without a stack, with the mail catcher alone.
func (s *suite) someServices(t *testing.T) {
	before := s.caps.Leftovers(t)
	_, err := s.make(t).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir(), Services: []harness.Service{"postgres"}})
	require.ErrorContains(t, err, `runs no service "postgres"`)

	dir := t.TempDir()
	up, err := s.make(t).Start(t.Context(), s.onlyMail(dir))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, up.Close(context.Background())) })
	ends := up.Endpoints()
	require.Equal(t, harness.Endpoints{MailHog: ends.MailHog, SMTP: ends.SMTP}, ends)
	require.Len(t, up.Describe(), 1)
	require.Equal(t, harness.ServiceMailHog, up.Describe()[0].Service)
	require.ErrorContains(t, up.Stop(t.Context(), harness.ServiceMongo), `runs no service "mongo"`)

	t.Run("an end that was asked for is no crash", func(t *testing.T) {
		require.NoError(t, up.Stop(t.Context(), harness.ServiceMailHog))
		require.NoError(t, up.Start(t.Context(), harness.ServiceMailHog))
		require.NoError(t, up.Kill(t.Context(), harness.ServiceMailHog))
		require.NoError(t, up.Start(t.Context(), harness.ServiceMailHog))
		require.NoError(t, up.Err())
	})
	t.Run("a crash closes Done and is kept", func(t *testing.T) {
		s.caps.Crash(t, dir, harness.ServiceMailHog)
		select {
		case <-up.Done(): // the first one: what Stop and Kill ended did not close it
		case <-time.After(hopTime):
			require.Fail(t, "Done is not closed after a crash")
		}
		s.checkCrash(t, up.Err())
		require.NoError(t, up.Start(t.Context(), harness.ServiceMailHog), "it can be started again")
		s.checkCrash(t, up.Err())
	})
	require.NoError(t, up.Close(t.Context()))
	require.Equal(t, before, s.caps.Leftovers(t))

	again, err := s.make(t).Start(t.Context(), s.onlyMail(t.TempDir()))
	require.NoError(t, err)
	require.NoError(t, again.Close(t.Context()))
	select {
	case <-again.Done():
		require.Fail(t, "Close is no crash")
	default: // after Close no exit is noticed any more
	}
	require.NoError(t, again.Err())
}

// reach leads the address that Inngest is given back to a listener of this machine.
func (s *suite) reach(t *testing.T) {
	up, err := s.make(t).Start(t.Context(), harness.BackendOptions{Dir: t.TempDir(), Services: []harness.Service{harness.ServiceInngest}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, up.Close(context.Background())) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	addr, err := up.Reach(t.Context(), l.Addr().String())
	require.NoError(t, err)
	again, err := up.Reach(t.Context(), l.Addr().String())
	require.NoError(t, err)
	require.Equal(t, addr, again)
	host, _, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	if host == bridge.Host { // a name that only containers resolve
		return
	}
	accepted := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = conn.Close()
		}
		accepted <- err
	}()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, <-accepted)
}

// checkCrash checks that err says how the mail catcher was killed, with the end of its log.
func (s *suite) checkCrash(t *testing.T, err error) {
	t.Helper()
	exit := (*stack.ExitError)(nil)
	require.ErrorAs(t, err, &exit)
	require.Contains(t, exit.Error(), string(cmp.Or(s.caps.MailCatcher, harness.MailHog))+" was ended by a signal (killed)")
	require.Contains(t, exit.Error(), "; its last lines:\n  ")
	require.NotEmpty(t, exit.Tail)
	require.FileExists(t, exit.LogFile)
	require.Contains(t, exit.Error(), "whole log: "+exit.LogFile)
}

func (s *suite) crash(t *testing.T) {
	st := s.start(t, stack.Options{})
	s.caps.Crash(t, st.Dir(), harness.ServiceMailHog)
	select {
	case <-st.Done():
		s.checkCrash(t, st.Err())
	case <-time.After(hopTime):
		require.Fail(t, "the crash of the mail catcher was not reported")
	}
}

func (s *suite) parallel(t *testing.T) {
	started := make(chan *env, 2)
	t.Run("start", func(t *testing.T) {
		for range cap(started) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				st := s.start(t, stack.Options{})
				st.eventToEmail(t)
				started <- st
			})
		}
	})
	require.Len(t, started, cap(started))
	a, b := (<-started).Endpoints(), (<-started).Endpoints()
	require.NotEqual(t, a.Inngest, b.Inngest)
	require.NotEqual(t, a.MailHog, b.MailHog)
	require.NotEqual(t, a.SMTP, b.SMTP)
	require.NotEqual(t, a.Mongo, b.Mongo)
}

func (s *suite) fixedPorts(t *testing.T) {
	// Not the known ones: other programs may be using those.
	free, err := port.Free(4)
	require.NoError(t, err)
	ports := harness.Ports{Inngest: free[0], MailHog: free[1], SMTP: free[2], Mongo: free[3]}
	st := s.start(t, stack.Options{Ports: ports})
	ends := st.Endpoints()
	require.Equal(t, "http://127.0.0.1:"+strconv.Itoa(ports.Inngest), ends.Inngest)
	require.Equal(t, "http://127.0.0.1:"+strconv.Itoa(ports.MailHog), ends.MailHog)
	require.Equal(t, "127.0.0.1:"+strconv.Itoa(ports.SMTP), ends.SMTP)
	require.Contains(t, ends.Mongo, "127.0.0.1:"+strconv.Itoa(ports.Mongo))
	st.checkUsable(t)
}

func (s *suite) portTaken(t *testing.T) {
	before := s.caps.Leftovers(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	_, err = stack.Start(t.Context(), s.make(t), stack.Options{Dir: t.TempDir(), Ports: harness.Ports{SMTP: taken}, MailCatcher: s.caps.MailCatcher})
	require.ErrorContains(t, err, "port "+strconv.Itoa(taken)+", wanted for "+s.caps.MailCatcher.Title()+"'s SMTP, is in use by")
	require.ErrorContains(t, err, "--ports free")
	require.Equal(t, before, s.caps.Leftovers(t))
}

func (s *suite) halfWay(t *testing.T) {
	before := s.caps.Leftovers(t)
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	dir := t.TempDir()
	_, err := stack.Start(ctx, s.caps.Broken(t), stack.Options{Dir: dir, MailCatcher: s.caps.MailCatcher})
	require.ErrorContains(t, err, "inngest")
	require.Equal(t, before, s.caps.Leftovers(t))
	require.NoError(t, os.RemoveAll(dir), "no server writes there any more")
}

func (s *suite) cancelled(t *testing.T) {
	before := s.caps.Leftovers(t)
	for name, when := range map[string]func(harness.Progress) bool{
		"as the first server is ready": func(p harness.Progress) bool { return p.Doing == "ready" },
		"before it begins":             nil,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := stack.Options{Dir: t.TempDir(), MailCatcher: s.caps.MailCatcher}
			if when == nil {
				cancel()
			} else {
				o.Progress = func(p harness.Progress) {
					if when(p) {
						cancel()
					}
				}
			}
			_, err := stack.Start(ctx, s.make(t), o)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, before, s.caps.Leftovers(t))
		})
	}
	for _, after := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
		t.Run("after "+after.String(), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			st, err := stack.Start(ctx, s.make(t), stack.Options{Dir: t.TempDir(), MailCatcher: s.caps.MailCatcher})
			if err == nil { // a fast machine
				require.NoError(t, st.Close(context.Background()))
			}
			require.Equal(t, before, s.caps.Leftovers(t))
		})
	}
}
