package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// Run tests that a Store does what app.Store documents. Open returns a Store on an empty database and closes it in the
// test's cleanup. The tests run in parallel, each with its own Store.
func Run(t *testing.T, open func(t testing.TB) app.Store) {
	for name, test := range map[string]func(*testing.T, app.Store){
		"ids ascend":                            idsAscend,
		"a request comes back as it was stored": requestRoundTrip,
		"a bare request comes back too":         bareRoundTrip,
		"an id is used once":                    createTwice,
		"requests are paged by id":              paging,
		"requests are listed by state":          byState,
		"a key is reserved for a day":           reserve,
		"of concurrent calls one reserves":      reserveConcurrently,
		"unknown ids are not found":             notFound,
		"a world is stored and replaced":        world,
		"a notification is saved whole":         saveWhole,
		"a stale notification conflicts":        saveStale,
		"of concurrent writers one wins":        saveConcurrently,
		"concurrent updates are all applied":    updateConcurrently,
		"due requests come longest due first":   due,
		"the outbox is counted by state":        outbox,
		"a final notification is never due":     finalIsNotDue,
		"a cancelled context is an error":       cancelled,
		"hostile text is stored unchanged":      hostileText,
		"one claim is granted among many runs":  claimConcurrently,
		"one process takes a due request":       takeConcurrently,
		"a returned request is a copy":          noSharing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var (
	now  = time.Date(2026, time.March, 4, 5, 6, 7, 891_000_000, time.UTC)
	pace = app.Pace{DispatchLease: 10 * time.Second, RedispatchAfter: time.Minute, ConfirmAfter: 20 * time.Second, SendLease: 30 * time.Second}
)

// request returns a request with every field set.
func request(s app.Store) app.Request {
	return app.Request{
		ID:            s.NewID(),
		Subject:       "Conveyor 3 squeaks – ремонт 🛠",
		Type:          app.Preventive,
		EquipmentID:   "65f000000000000000000e01",
		TechnicianID:  "65f000000000000000000a01",
		RequestedByID: "65f000000000000000000b01",
		Description:   "Since Tuesday.\n\tLouder when cold.",
		Priority:      app.High,
		ScheduledFor:  now.Add(48 * time.Hour),
		CreatedAt:     now,
		TraceParent:   "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		Notification: app.Notification{
			State:          app.Dispatched,
			Generation:     3,
			MessageID:      "<a@b>",
			Attempts:       7,
			LastError:      "451 busy",
			Reason:         "none",
			Claim:          &app.Claim{RunID: "01RUN", At: now, Until: now.Add(time.Second)},
			EventID:        "01EVENT",
			DispatchedAt:   now.Add(time.Second),
			SentAt:         now.Add(2 * time.Second),
			NextDispatchAt: now.Add(3 * time.Second),
			Version:        1,
		},
	}
}

func create(t *testing.T, s app.Store, r app.Request) app.Request {
	t.Helper()
	require.NoError(t, s.CreateRequest(t.Context(), r))
	return r
}

func requireStored(t *testing.T, s app.Store, want app.Request) {
	t.Helper()
	got, err := s.Request(t.Context(), want.ID)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got), "stored request differs (-want +got)")
}

func idsAscend(t *testing.T, s app.Store) {
	last := ""
	for range 1000 {
		id := s.NewID()
		require.True(t, app.ValidID(id), "id %q", id)
		require.Greater(t, id, last)
		last = id
	}
}

func requestRoundTrip(t *testing.T, s app.Store) {
	requireStored(t, s, create(t, s, request(s)))
}

func bareRoundTrip(t *testing.T, s app.Store) {
	r := request(s)
	r.Description, r.ScheduledFor = "", time.Time{}
	r.Notification = app.NewNotification("<c@d>", now, pace)
	requireStored(t, s, create(t, s, r))
}

func createTwice(t *testing.T, s app.Store) {
	r := create(t, s, request(s))
	again := r
	again.Subject = "Another one"
	err := s.CreateRequest(t.Context(), again)
	require.ErrorIs(t, err, app.ErrConflict)
	require.NotErrorIs(t, err, app.ErrUnavailable, "a retry would not help")
	requireStored(t, s, r)
}

func paging(t *testing.T, s app.Store) {
	var want []string
	for range 5 {
		want = append(want, create(t, s, request(s)).ID)
	}
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := s.Requests(t.Context(), "", after, 2)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), 2)
		for _, r := range page {
			got = append(got, r.ID)
		}
		if len(page) < 2 {
			break
		}
	}
	require.Equal(t, want, got)

	none, err := s.Requests(t.Context(), "", want[4], 2)
	require.NoError(t, err)
	require.NotNil(t, none, "an empty page is an empty list, not null")
	require.Empty(t, none)
}

func byState(t *testing.T, s app.Store) {
	in := func(state app.State) string {
		r := request(s)
		r.Notification.State = state
		return create(t, s, r).ID
	}
	first, _, second, third := in(app.Failed), in(app.Sent), in(app.Failed), in(app.Failed)
	for after, want := range map[string][]string{"": {first, second}, first: {second, third}, third: nil} {
		page, err := s.Requests(t.Context(), app.Failed, after, 2)
		require.NoError(t, err)
		var got []string
		for _, r := range page {
			got = append(got, r.ID)
		}
		require.Equal(t, want, got)
	}
	none, err := s.Requests(t.Context(), app.Pending, "", 2)
	require.NoError(t, err)
	require.NotNil(t, none)
	require.Empty(t, none)
}

func reserve(t *testing.T, s app.Store) {
	_, err := s.Reservation(t.Context(), "k")
	require.ErrorIs(t, err, app.ErrNotFound)
	requireReserved := func(want app.Reservation) {
		got, err := s.Reservation(t.Context(), want.Key)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got), "stored reservation differs (-want +got)")
	}
	for _, key := range []string{"k", `{"$ne":null}`} { // independent of each other
		first := app.Reservation{Key: key, Body: "one", Request: request(s)}
		require.NoError(t, s.Reserve(t.Context(), first, now))
		requireReserved(first)
		second := app.Reservation{Key: key, Body: "two", Request: request(s)}
		second.Request.CreatedAt = now.Add(24 * time.Hour)
		require.ErrorIs(t, s.Reserve(t.Context(), second, now), app.ErrConflict)
		requireReserved(first)
		require.NoError(t, s.Reserve(t.Context(), second, now.Add(time.Millisecond)), "the first has expired")
		requireReserved(second)
	}
	_, err = s.Request(t.Context(), request(s).ID)
	require.ErrorIs(t, err, app.ErrNotFound, "a reservation is no request")
}

func reserveConcurrently(t *testing.T, s app.Store) {
	for range rounds {
		key := s.NewID()
		won := count(writers, func() bool {
			err := s.Reserve(t.Context(), app.Reservation{Key: key, Body: "b", Request: request(s)}, now)
			if err != nil && !errors.Is(err, app.ErrConflict) {
				t.Errorf("reserve: %v", err)
			}
			return err == nil
		})
		require.EqualValues(t, 1, won, "calls that reserved key %s", key)
	}
}

func notFound(t *testing.T, s app.Store) {
	for _, id := range []string{s.NewID(), "", "x", "zzzzzzzzzzzzzzzzzzzzzzzz", `{"$ne":null}`} {
		_, err := s.Request(t.Context(), id)
		require.ErrorIs(t, err, app.ErrNotFound, "request %q", id)
		_, err = s.User(t.Context(), id)
		require.ErrorIs(t, err, app.ErrNotFound, "user %q", id)
		_, err = s.Equipment(t.Context(), id)
		require.ErrorIs(t, err, app.ErrNotFound, "equipment %q", id)
		require.ErrorIs(t, s.SaveNotification(t.Context(), id, app.Notification{Version: 1}), app.ErrNotFound, "save %q", id)
	}
}

func world(t *testing.T, s app.Store) {
	kim := app.User{ID: "65f000000000000000000a01", Name: "Kim Öztürk", Email: "kim@plant.test", Role: app.RoleTechnician}
	lee := app.User{ID: "65f000000000000000000b01", Name: "Lee", Role: "requester"}
	press := app.Equipment{ID: "65f000000000000000000e01", Name: "Press", Location: "Hall 2"}
	require.NoError(t, s.PutWorld(t.Context(), app.World{Users: []app.User{kim, lee}, Equipment: []app.Equipment{press}}))

	kim.Email = ""
	require.NoError(t, s.PutWorld(t.Context(), app.World{Users: []app.User{kim}}))
	for _, want := range []app.User{kim, lee} {
		got, err := s.User(t.Context(), want.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := s.Equipment(t.Context(), press.ID)
	require.NoError(t, err)
	require.Equal(t, press, got)
	_, err = s.User(t.Context(), press.ID)
	require.ErrorIs(t, err, app.ErrNotFound, "equipment is not a user")
	require.NoError(t, s.PutWorld(t.Context(), app.World{}), "an empty world")
}

func saveWhole(t *testing.T, s app.Store) {
	r := create(t, s, request(s))
	r.Notification = app.Notification{
		State: app.Sent, Generation: 4, MessageID: "<a@b>", Attempts: 8, SentAt: now.Add(time.Hour), Version: 1,
	}
	require.NoError(t, s.SaveNotification(t.Context(), r.ID, r.Notification))
	r.Notification.Version = 2
	requireStored(t, s, r) // claim, reason and times are removed; the request is unchanged
}

func saveStale(t *testing.T, s app.Store) {
	r := create(t, s, request(s))
	require.NoError(t, s.SaveNotification(t.Context(), r.ID, r.Notification))
	require.ErrorIs(t, s.SaveNotification(t.Context(), r.ID, r.Notification), app.ErrConflict)

	r.Notification.Version = 3
	require.ErrorIs(t, s.SaveNotification(t.Context(), r.ID, r.Notification), app.ErrConflict)
	r.Notification.Version = 2
	requireStored(t, s, r)
}

const (
	writers = 4
	rounds  = 50
)

func saveConcurrently(t *testing.T, s app.Store) {
	r := create(t, s, request(s))
	for round := range rounds {
		n := r.Notification
		n.Version = int64(round + 1)
		won := count(writers, func() bool {
			err := s.SaveNotification(t.Context(), r.ID, n)
			if err != nil && !errors.Is(err, app.ErrConflict) {
				t.Errorf("save: %v", err)
			}
			return err == nil
		})
		require.EqualValues(t, 1, won, "writers that won round %d", round)
	}
}

func updateConcurrently(t *testing.T, s app.Store) {
	r := create(t, s, request(s))
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				_, changed, err := app.Update(t.Context(), s, r, func(n app.Notification) (app.Notification, bool) {
					n.Attempts++
					return n, true
				})
				if err != nil || !changed {
					t.Errorf("update: changed %v, error %v", changed, err)
				}
			}
		})
	}
	wg.Wait()
	r.Notification.Attempts += writers * rounds
	r.Notification.Version += writers * rounds
	requireStored(t, s, r)
}

func due(t *testing.T, s app.Store) {
	at := func(d time.Duration) string {
		r := request(s)
		r.Notification.NextDispatchAt = now.Add(d)
		return create(t, s, r).ID
	}
	second, first, third := at(-time.Minute), at(-time.Hour), at(0)
	at(time.Millisecond)

	ids := func(limit int) (ids []string) {
		due, err := s.DueRequests(t.Context(), now, limit)
		require.NoError(t, err)
		for _, r := range due {
			ids = append(ids, r.ID)
		}
		return ids
	}
	require.Equal(t, []string{first, second, third}, ids(10))
	require.Equal(t, []string{first, second}, ids(2))
}

func outbox(t *testing.T, s app.Store) {
	requireOutbox := func(want app.Outbox) {
		t.Helper()
		got, err := s.Outbox(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	requireOutbox(app.Outbox{})
	in := func(state app.State, created time.Time) app.Request {
		r := request(s)
		r.Notification.State, r.CreatedAt = state, created
		return create(t, s, r)
	}
	in(app.Sent, now)
	in(app.Failed, now.Add(time.Second))
	requireOutbox(app.Outbox{Failed: 1})
	oldest := in(app.Dispatched, now.Add(2*time.Second))
	in(app.Pending, now.Add(3*time.Second))
	in(app.Dispatched, now.Add(4*time.Second))
	requireOutbox(app.Outbox{Pending: 1, Dispatched: 2, Failed: 1, Oldest: now.Add(2 * time.Second)})
	n, _ := oldest.Notification.Accept(now)
	require.NoError(t, s.SaveNotification(t.Context(), oldest.ID, n))
	requireOutbox(app.Outbox{Pending: 1, Dispatched: 1, Failed: 1, Oldest: now.Add(3 * time.Second)})
}

func finalIsNotDue(t *testing.T, s app.Store) {
	r := request(s)
	r.Notification.NextDispatchAt = time.Time{}
	create(t, s, r)
	ended := create(t, s, request(s))
	ended.Notification, _ = ended.Notification.Accept(now)
	require.NoError(t, s.SaveNotification(t.Context(), ended.ID, ended.Notification))

	due, err := s.DueRequests(t.Context(), now.Add(1000*time.Hour), 10)
	require.NoError(t, err)
	require.Empty(t, due)
}

func cancelled(t *testing.T, s app.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Request(ctx, s.NewID())
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Ping(ctx), context.Canceled)
	require.NoError(t, s.Ping(t.Context()))
}

func hostileText(t *testing.T, s app.Store) {
	r := request(s)
	r.Subject = `{"$set":{"a.b":1}} '; DROP TABLE requests; -- $where`
	r.Description = strings.Repeat("<script>𝕏\u202e\u2066</script>", 300)
	requireStored(t, s, create(t, s, r))
}

func claimConcurrently(t *testing.T, s app.Store) {
	r := request(s)
	r.Notification = app.NewNotification("<c@d>", now, pace)
	create(t, s, r)
	var run atomic.Int32
	granted := count(writers, func() bool {
		result := app.ClaimResult("")
		claimant := app.Run{ID: string(rune('a' + run.Add(1)))}
		_, _, err := app.Update(t.Context(), s, r, func(n app.Notification) (app.Notification, bool) {
			n, result = n.ClaimFor(claimant, now, pace)
			return n, result == app.Granted
		})
		if err != nil {
			t.Errorf("claim: %v", err)
		}
		return result == app.Granted
	})
	require.EqualValues(t, 1, granted)
}

func takeConcurrently(t *testing.T, s app.Store) {
	r := request(s)
	r.Notification.NextDispatchAt, r.Notification.Claim, r.Notification.EventID = now, nil, ""
	create(t, s, r)
	took := count(writers, func() bool {
		_, changed, err := app.Update(t.Context(), s, r, func(n app.Notification) (app.Notification, bool) {
			return n.TakeForDispatch(now, pace)
		})
		if err != nil {
			t.Errorf("take: %v", err)
		}
		return changed
	})
	require.EqualValues(t, 1, took)
	got, err := s.Request(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, r.Notification.Generation+1, got.Notification.Generation)
}

func noSharing(t *testing.T, s app.Store) {
	r := create(t, s, request(s))
	got, err := s.Request(t.Context(), r.ID)
	require.NoError(t, err)
	got.Notification.Claim.RunID = "another run"
	requireStored(t, s, r)
}

// count runs f n times concurrently and returns how many calls returned true.
func count(n int, f func() bool) int32 {
	var yes atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			if f() {
				yes.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return yes.Load()
}
