package app

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of a Store, for errors.Is. A store may return other errors of its database.
var (
	// ErrNotFound: the store has nothing with that id.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the notification has changed since it was read, or what was to be stored anew exists. Read it again.
	ErrConflict = errors.New("changed since it was read")
	// ErrUnavailable: the database could not be reached or did not answer in time. The same call may succeed later.
	ErrUnavailable = errors.New("the database cannot be reached")
)

// Store keeps requests and the users and equipment that they refer to. Every implementation passes the suite in package
// storetest and is safe for concurrent use, also by several processes. Times are kept in UTC to the millisecond. A
// malformed id is not found.
type Store interface {
	// NewID returns an id for a request. The ids of one process ascend.
	NewID() string

	// CreateRequest stores r with its notification in one atomic write, as version 1. If there is a request with its id, it
	// returns ErrConflict.
	CreateRequest(ctx context.Context, r Request) error
	// Request returns the request with that id, or ErrNotFound.
	Request(ctx context.Context, id string) (Request, error)
	// Requests returns up to limit requests with a notification in that state whose id is greater than after, sorted by id.
	// Empty state: in any. Empty after: from the start.
	Requests(ctx context.Context, state State, after string, limit int) ([]Request, error)
	// SaveNotification replaces the notification of a request if its version is n.Version, and increments the version.
	// Otherwise it returns ErrConflict, or ErrNotFound if there is no such request.
	SaveNotification(ctx context.Context, id string, n Notification) error
	// DueRequests returns up to limit requests whose Notification.NextDispatchAt is set and not after now, the earliest
	// first.
	DueRequests(ctx context.Context, now time.Time, limit int) ([]Request, error)

	// Outbox counts the requests whose email was not sent.
	Outbox(ctx context.Context) (Outbox, error)

	// Reservation returns the reservation of an idempotency key, or ErrNotFound.
	Reservation(ctx context.Context, key string) (Reservation, error)
	// Reserve stores r. It returns ErrConflict if there is a reservation of the key, unless the request of that one was
	// created before expired: then r replaces it. The store may delete such reservations.
	Reserve(ctx context.Context, r Reservation, expired time.Time) error

	// User and Equipment return the user or equipment with that id, or ErrNotFound.
	User(ctx context.Context, id string) (User, error)
	Equipment(ctx context.Context, id string) (Equipment, error)
	// PutWorld stores all of w and replaces entries with the same ids. It is not atomic as a whole.
	PutWorld(ctx context.Context, w World) error

	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
	// Close frees the store's connections. No other method may be called after it.
	Close(ctx context.Context) error
}

// Outbox says what is yet to be done.
type Outbox struct {
	// Pending, Dispatched and Failed are how many notifications have that state.
	Pending, Dispatched, Failed int64
	// Oldest is when the oldest request with a pending or dispatched notification was created. Zero: there is none.
	Oldest time.Time
}

// Reservation ties the idempotency key of a call to the request that the call creates.
type Reservation struct {
	Key string
	// Body identifies the body of the call.
	Body string
	// Request is the request as it is created. Storing it again changes nothing, as it has its id.
	Request Request
}

// ReservationLifetime is how long an idempotency key is kept.
const ReservationLifetime = 24 * time.Hour

// Change returns the next state of a notification, or false to leave it as it is. Update may call it several times.
type Change func(Notification) (Notification, bool)

// maxTries limits the tries of Update. At most the dispatcher, a run and a requeue write to one notification at a time,
// so more than a few conflicts mean a broken store.
const maxTries = 50

// Update applies change to the notification of r and saves the result. On a conflict it reads the request again and
// repeats. The first try uses r as given, which saves a read if the caller has just read or written it. Update returns
// the request as stored, and whether this call changed it.
func Update(ctx context.Context, s Store, r Request, change Change) (Request, bool, error) {
	for range maxTries {
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
	return r, false, fmt.Errorf("save the notification of request %s: stopped after %d tries: %w", r.ID, maxTries, ErrConflict)
}
