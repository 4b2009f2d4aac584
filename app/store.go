package app

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What a Store answers besides the error of its database, by errors.Is.
var (
	// ErrNotFound: the store holds nothing under that id.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the notification was changed since it was read; read it again.
	ErrConflict = errors.New("changed by somebody else meanwhile")
	// ErrUnavailable: the database could not be reached, or did not answer in time. The same call may succeed later.
	ErrUnavailable = errors.New("the database cannot be reached")
)

// Store keeps requests and the world they refer to. Every implementation passes the suite in package storetest and is
// safe for concurrent use, also by several processes. Times are kept in UTC to the millisecond. An id that has not
// the form of one is simply not found.
type Store interface {
	// NewID returns an id for a request. Ids of one process ascend in the order of the calls.
	NewID() string

	// CreateRequest stores r with its notification in one atomic write, as version 1.
	CreateRequest(ctx context.Context, r Request) error
	// Request returns the request of that id, or ErrNotFound.
	Request(ctx context.Context, id string) (Request, error)
	// Requests returns up to limit requests in the order of their ids, those after the given one ("": from the start).
	Requests(ctx context.Context, after string, limit int) ([]Request, error)
	// SaveNotification replaces the notification of a request if its version is still n.Version, and counts the
	// version up; otherwise it returns ErrConflict, or ErrNotFound when there is no such request.
	SaveNotification(ctx context.Context, id string, n Notification) error
	// DueRequests returns up to limit requests whose notification.NextDispatchAt is set and not after now, those due
	// longest first.
	DueRequests(ctx context.Context, now time.Time, limit int) ([]Request, error)

	// User and Equipment return what has that id, or ErrNotFound.
	User(ctx context.Context, id string) (User, error)
	Equipment(ctx context.Context, id string) (Equipment, error)
	// PutWorld stores all of w, replacing what has the same ids. It is not atomic as a whole.
	PutWorld(ctx context.Context, w World) error

	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
	// Close frees the store's connections. Nothing may be called after it.
	Close(ctx context.Context) error
}

// maxConflicts bounds how often Update tries again. Three parties at most write to one notification at a time (the
// dispatcher, a run, a person who requeues), so that more than a few conflicts mean a broken store.
const maxConflicts = 50

// Update applies change to the notification of r and saves the result, again and again with the stored request as
// long as somebody else changed it meanwhile. The first try trusts r as it is, which saves a read when the caller has
// just read or written it. A change that returns false saves nothing. Update returns the request as it now is stored,
// and whether this call changed it.
func Update(ctx context.Context, s Store, r Request, change func(Notification) (Notification, bool)) (Request, bool, error) {
	for range maxConflicts {
		n, ok := change(r.Notification)
		if !ok {
			return r, false, nil
		}
		n.Version = r.Notification.Version
		err := s.SaveNotification(ctx, r.ID, n)
		if err == nil {
			n.Version++
			r.Notification = n
			return r, true, nil
		}
		if !errors.Is(err, ErrConflict) {
			return r, false, fmt.Errorf("save the notification of request %s: %w", r.ID, err)
		}
		if r, err = s.Request(ctx, r.ID); err != nil {
			return r, false, fmt.Errorf("read request %s again: %w", r.ID, err)
		}
	}
	return r, false, fmt.Errorf("save the notification of request %s: gave up after %d tries: %w", r.ID, maxConflicts, ErrConflict)
}
