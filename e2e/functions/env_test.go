package functions_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/app/email"
	"github.com/odoo-maintenance/inngest-harness/app/storetest"
	"github.com/odoo-maintenance/inngest-harness/e2e/internal/testenv"
	"github.com/odoo-maintenance/inngest-harness/harness"
)

// testApps holds the apps that were made, by address.
type testApps struct {
	mu  sync.Mutex
	all map[string]*testApp
}

// testApp is an app with its store in memory.
type testApp struct{ store *store }

// app makes an app. It is a [stack.HandlerFunc].
func (p *testApps) app(ctx context.Context, env harness.Env) (http.Handler, error) {
	one := &testApp{store: &store{Memory: storetest.NewMemory(), faults: map[string]*storeFault{}}}
	handler, err := testenv.Functions(ctx, env, one.store)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[env.AppURL] = one
	return handler, nil
}

func (p *testApps) at(appURL string) *testApp {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[appURL]
}

// store is a store that fails for some requests.
type store struct {
	*storetest.Memory
	mu     sync.Mutex
	faults map[string]*storeFault // by request
}

// storeFault says how often in a row operations fail; -1 means always.
type storeFault struct {
	reads int
	// recording counts the saves of an accepted email that fail, failing those of a failure.
	recording, failing int
}

func (s *store) fail(request string, counter func(*storeFault) *int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.faults[request]
	if f == nil {
		return nil
	}
	switch n := counter(f); {
	case *n == 0:
		return nil
	case *n > 0:
		*n--
	}
	return fmt.Errorf("the store is away")
}

func (s *store) Request(ctx context.Context, id string) (app.Request, error) {
	if err := s.fail(id, func(f *storeFault) *int { return &f.reads }); err != nil {
		return app.Request{}, err
	}
	return s.Memory.Request(ctx, id)
}

func (s *store) SaveNotification(ctx context.Context, id string, n app.Notification) error {
	var none int
	err := s.fail(id, func(f *storeFault) *int {
		switch n.State {
		case app.Sent:
			return &f.recording
		case app.Failed:
			return &f.failing
		}
		return &none
	})
	if err != nil {
		return err
	}
	return s.Memory.SaveNotification(ctx, id, n)
}

// env is the environment of one row: a dispatched request, with its own people and equipment.
type env struct {
	t                            testing.TB
	store                        *store
	technician, other, requester app.User
	equipment                    app.Equipment
	request                      app.Request
}

func newEnv(t testing.TB, p *testApp) *env {
	t.Helper()
	s := &env{t: t, store: p.store}
	user := func(name, role string) app.User {
		id := p.store.NewID()
		return app.User{ID: id, Name: name, Email: strings.ToLower(name[:3]) + "+" + id + "@plant.test", Role: role}
	}
	s.technician, s.other, s.requester = user("Kim Larsen", app.RoleTechnician), user("Noor Haddad", app.RoleTechnician), user("Lee Park", "requester")
	s.equipment = app.Equipment{ID: p.store.NewID(), Name: "Press 4", Location: "Hall 2"}
	s.put(s.technician, s.other, s.requester)
	require.NoError(t, p.store.PutWorld(t.Context(), app.World{Equipment: []app.Equipment{s.equipment}}))
	id := p.store.NewID()
	s.request = app.Request{
		ID: id, Subject: "Belt torn", Type: app.Corrective, Priority: app.High, Description: "Since Tuesday.",
		EquipmentID: s.equipment.ID, TechnicianID: s.technician.ID, RequestedByID: s.requester.ID, CreatedAt: time.Now(),
		Notification: app.NewNotification(email.MessageID(id, "plant.example"), time.Now(), testenv.Pace),
	}
	s.request.Notification, _ = s.request.Notification.Dispatch(1, "01E", time.Now(), testenv.Pace)
	require.NoError(t, p.store.CreateRequest(t.Context(), s.request))
	return s
}

// put stores users. It replaces those with the same ids.
func (s *env) put(users ...app.User) {
	s.t.Helper()
	require.NoError(s.t, s.store.PutWorld(s.t.Context(), app.World{Users: users}))
}

// change updates the stored notification as the app does.
func (s *env) change(f func(app.Notification) (app.Notification, bool)) {
	s.t.Helper()
	stored, err := s.store.Memory.Request(s.t.Context(), s.request.ID)
	require.NoError(s.t, err)
	changed, ok, err := app.Update(s.t.Context(), s.store.Memory, stored, f)
	require.NoError(s.t, err)
	require.True(s.t, ok, "the notification refuses the change")
	s.request = changed
}

// fails makes the store fail for this request.
func (s *env) fails(f storeFault) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.faults[s.request.ID] = &f
}

// notification returns the stored notification.
func (s *env) notification() app.Notification {
	s.t.Helper()
	r, err := s.store.Memory.Request(context.WithoutCancel(s.t.Context()), s.request.ID)
	require.NoError(s.t, err)
	return r.Notification
}

// own returns the app's event for the request.
func (s *env) own() harness.Event {
	e := s.request.Event()
	return harness.Event{IdempotencyKey: e.IdempotencyKey, Name: e.Name, Data: e.Data}
}

// foreign returns an event that another program sends, with the same data but for a change.
func (s *env) foreign(change func(*app.RequestCreated)) harness.Event {
	data := s.request.Event().Data
	if change != nil {
		change(&data)
	}
	return harness.Event{Name: app.EventRequestCreated, Data: data}
}
