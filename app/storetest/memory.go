package storetest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// Memory is an app.Store in memory: maps behind one lock.
type Memory struct {
	mu        sync.Mutex
	requests  map[string]app.Request
	reserved  map[string]app.Reservation
	users     map[string]app.User
	equipment map[string]app.Equipment
}

var _ app.Store = (*Memory)(nil)

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{
		requests:  map[string]app.Request{},
		reserved:  map[string]app.Reservation{},
		users:     map[string]app.User{},
		equipment: map[string]app.Equipment{},
	}
}

// NewID implements app.Store.
func (m *Memory) NewID() string { return bson.NewObjectID().Hex() }

// CreateRequest implements app.Store.
func (m *Memory) CreateRequest(ctx context.Context, r app.Request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, exists := m.requests[r.ID]; exists {
		return app.ErrConflict
	}
	r.Notification.Version = 1
	m.requests[r.ID] = clone(r)
	return nil
}

// Request implements app.Store.
func (m *Memory) Request(ctx context.Context, id string) (app.Request, error) {
	return find(ctx, m, m.requests, id)
}

// Requests implements app.Store.
func (m *Memory) Requests(ctx context.Context, state app.State, after string, limit int) ([]app.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	page := []app.Request{}
	for _, id := range slices.Sorted(maps.Keys(m.requests)) {
		r := m.requests[id]
		if id > after && len(page) < limit && (state == "" || state == r.Notification.State) {
			page = append(page, clone(r))
		}
	}
	return page, nil
}

// Reservation implements app.Store.
func (m *Memory) Reservation(ctx context.Context, key string) (app.Reservation, error) {
	return find(ctx, m, m.reserved, key)
}

// Reserve implements app.Store.
func (m *Memory) Reserve(ctx context.Context, r app.Reservation, expired time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if earlier, exists := m.reserved[r.Key]; exists && !earlier.Request.CreatedAt.Before(expired) {
		return app.ErrConflict
	}
	r.Request = clone(r.Request)
	m.reserved[r.Key] = r
	return nil
}

// SaveNotification implements app.Store.
func (m *Memory) SaveNotification(ctx context.Context, id string, n app.Notification) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, found := m.requests[id]
	if !found {
		return app.ErrNotFound
	}
	if r.Notification.Version != n.Version {
		return app.ErrConflict
	}
	n.Version++
	r.Notification = n
	m.requests[id] = clone(r)
	return nil
}

// DueRequests implements app.Store.
func (m *Memory) DueRequests(ctx context.Context, now time.Time, limit int) ([]app.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	due := []app.Request{}
	for _, r := range m.requests {
		if at := r.Notification.NextDispatchAt; !at.IsZero() && !at.After(now) {
			due = append(due, clone(r))
		}
	}
	slices.SortFunc(due, func(a, b app.Request) int {
		return cmp.Or(a.Notification.NextDispatchAt.Compare(b.Notification.NextDispatchAt), cmp.Compare(a.ID, b.ID))
	})
	return due[:min(limit, len(due))], nil
}

// Outbox implements app.Store.
func (m *Memory) Outbox(ctx context.Context) (app.Outbox, error) {
	if err := ctx.Err(); err != nil {
		return app.Outbox{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var o app.Outbox
	var oldest app.Request
	for _, r := range m.requests {
		switch r.Notification.State {
		case app.Pending:
			o.Pending++
		case app.Dispatched:
			o.Dispatched++
		case app.Failed:
			o.Failed++
			continue
		default:
			continue
		}
		if oldest.ID == "" || r.ID < oldest.ID {
			oldest = r
		}
	}
	o.Oldest = oldest.CreatedAt
	return o, nil
}

// User implements app.Store.
func (m *Memory) User(ctx context.Context, id string) (app.User, error) {
	return find(ctx, m, m.users, id)
}

// Equipment implements app.Store.
func (m *Memory) Equipment(ctx context.Context, id string) (app.Equipment, error) {
	return find(ctx, m, m.equipment, id)
}

// PutWorld implements app.Store.
func (m *Memory) PutWorld(ctx context.Context, w app.World) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range w.Users {
		m.users[u.ID] = u
	}
	for _, e := range w.Equipment {
		m.equipment[e.ID] = e
	}
	return nil
}

// DeleteUser deletes a user, as an administrator of the database could.
func (m *Memory) DeleteUser(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.users, id)
}

// Ping implements app.Store.
func (m *Memory) Ping(ctx context.Context) error { return ctx.Err() }

// Close implements app.Store.
func (m *Memory) Close(context.Context) error { return nil }

func find[T any](ctx context.Context, m *Memory, in map[string]T, id string) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, found := in[id]
	if !found {
		return zero, app.ErrNotFound
	}
	if r, isRequest := any(v).(app.Request); isRequest {
		v = any(clone(r)).(T)
	}
	return v, nil
}

// clone copies the claim, so that callers do not share it with the store.
func clone(r app.Request) app.Request {
	if r.Notification.Claim != nil {
		claim := *r.Notification.Claim
		r.Notification.Claim = &claim
	}
	return r
}
