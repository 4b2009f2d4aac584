package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// maxKey is the longest idempotency key, in bytes.
const maxKey = 255

// key is the Idempotency-Key of a call, with a hash of its body. The zero value: the call has none.
type key struct{ name, body string }

func newKey(header http.Header, body []byte) (key, error) {
	values := header.Values("Idempotency-Key")
	if len(values) == 0 {
		return key{}, nil
	}
	name := values[0]
	if len(values) > 1 || name == "" || len(name) > maxKey || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return key{}, &httpError{http.StatusBadRequest, "The Idempotency-Key must have 1 to 255 printable ASCII characters."}
	}
	sum := sha256.Sum256(body)
	return key{name, hex.EncodeToString(sum[:])}, nil
}

// reserved returns the request of an earlier call with that key. A key with which another body came is an error.
func (a *api) reserved(ctx context.Context, k key) (request app.Request, found bool, err error) {
	if k.name == "" {
		return request, false, nil
	}
	earlier, err := a.Store.Reservation(ctx, k.name)
	switch {
	case errors.Is(err, app.ErrNotFound):
		return request, false, nil
	case err != nil:
		return request, false, err
	case earlier.Request.CreatedAt.Before(keysExpired()):
		return request, false, nil
	case earlier.Body != k.body:
		return request, false, &httpError{http.StatusUnprocessableEntity,
			"This Idempotency-Key came with another body before; use a new key for each request."}
	}
	return earlier.Request, true, nil
}

// reserve ties a request to the key before it is stored, so that later calls with the key create the same request. If a
// concurrent call was faster, it returns the request of that one.
func (a *api) reserve(ctx context.Context, k key, request app.Request) (app.Request, error) {
	if k.name == "" {
		return request, nil
	}
	err := a.Store.Reserve(ctx, app.Reservation{Key: k.name, Body: k.body, Request: request}, keysExpired())
	if !errors.Is(err, app.ErrConflict) {
		return request, err
	}
	request, found, err := a.reserved(ctx, k)
	if err == nil && !found {
		err = app.ErrUnavailable // it expired just now: a retry helps
	}
	return request, err
}

// keysExpired returns the time before which a request was created whose key has expired.
func keysExpired() time.Time { return time.Now().Add(-app.ReservationLifetime) }
