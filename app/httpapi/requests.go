package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// Page sizes of the list.
const (
	defaultLimit = 50
	maxLimit     = 200
)

func (a *api) create(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	key, err := newKey(r.Header, body)
	if err != nil {
		return err
	}
	if request, found, err := a.reserved(r.Context(), key); err != nil {
		return err
	} else if found {
		return a.created(w, r, request)
	}
	draft, mistyped, err := decodeDraft(body)
	if err != nil {
		return err
	}
	request, problems := draft.Request()
	maps.Copy(problems, mistyped)
	if err := a.checkReferences(r.Context(), request, problems); err != nil {
		return err
	}
	if len(problems) > 0 {
		return problems
	}

	now := time.Now().UTC().Truncate(time.Millisecond)
	request.ID = a.Store.NewID()
	request.CreatedAt = now
	if a.TraceParent != nil {
		request.TraceParent = a.TraceParent(r.Context())
	}
	request.Notification = app.NewNotification(a.MessageID(request.ID), now, a.Pace)
	if request, err = a.reserve(r.Context(), key, request); err != nil {
		return err
	}
	return a.created(w, r, request)
}

// created stores a request, unless an earlier call with its idempotency key has, and answers with it.
func (a *api) created(w http.ResponseWriter, r *http.Request, request app.Request) error {
	switch err := a.Store.CreateRequest(r.Context(), request); {
	case err == nil:
		a.Offer(request)
	case !errors.Is(err, app.ErrConflict):
		return err
	}
	w.Header().Set("Location", "/api/requests/"+request.ID)
	return answer(w, http.StatusCreated, request)
}

// checkReferences adds a problem for each id that is unknown and for a technician without that role. A technician without
// an email address is accepted: the notification fails, and a person can requeue it when the address is known.
func (a *api) checkReferences(ctx context.Context, request app.Request, problems app.FieldErrors) error {
	_, equipmentErr := a.Store.Equipment(ctx, request.EquipmentID)
	technician, technicianErr := a.Store.User(ctx, request.TechnicianID)
	_, requesterErr := a.Store.User(ctx, request.RequestedByID)
	if technicianErr == nil && technician.Role != app.RoleTechnician {
		problems.Add("technicianId", "is not a technician")
	}
	for _, reference := range []struct {
		field, unknown string
		err            error
	}{
		{"equipmentId", "there is no such equipment", equipmentErr},
		{"technicianId", "there is no such user", technicianErr},
		{"requestedById", "there is no such user", requesterErr},
	} {
		if errors.Is(reference.err, app.ErrNotFound) {
			problems.Add(reference.field, reference.unknown)
		} else if reference.err != nil {
			return reference.err
		}
	}
	return nil
}

// httpError is an error with a status and a message for the client.
type httpError struct {
	status int
	detail string
}

func (e *httpError) Error() string { return e.detail }

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, &httpError{http.StatusUnsupportedMediaType, "Send JSON, with Content-Type: application/json."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("The body must not exceed %d bytes.", MaxBody)}
	}
	if err != nil {
		return nil, &httpError{http.StatusBadRequest, "The body could not be read."}
	}
	return body, nil
}

// decodeDraft decodes a body. Mistyped holds a problem if a field has the wrong JSON type.
func decodeDraft(body []byte) (draft app.Draft, mistyped app.FieldErrors, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&draft)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		// The decoder has read the whole body, so the other fields can be checked too.
		mistyped, err = app.FieldErrors{e.Field: "must be a string, not a JSON " + e.Value}, nil
	}
	if err != nil {
		return draft, nil, jsonProblem(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return draft, nil, &httpError{http.StatusBadRequest, "The body holds more than one JSON value."}
	}
	return draft, mistyped, nil
}

func jsonProblem(err error) error {
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &httpError{http.StatusBadRequest, "The body must be a JSON object."}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if field, err := strconv.Unquote(name); err == nil {
			name = field
		}
		return app.FieldErrors{name: "is not a field of a request"}
	}
	return &httpError{http.StatusBadRequest, "The body is not valid JSON."}
}

func (a *api) list(w http.ResponseWriter, r *http.Request) error {
	problems := app.FieldErrors{}
	limit, after := defaultLimit, r.URL.Query().Get("after")
	if s := r.URL.Query().Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxLimit {
			problems["limit"] = fmt.Sprintf("must be a number between 1 and %d", maxLimit)
		}
		limit = n
	}
	if after != "" && !app.ValidID(after) {
		problems["after"] = "must be the id of a request"
	}
	state := app.State(r.URL.Query().Get("state"))
	if state != "" && !slices.Contains(app.States, state) {
		problems["state"] = "must be pending, dispatched, sent or failed"
	}
	if len(problems) > 0 {
		return problems
	}
	requests, err := a.Store.Requests(r.Context(), state, after, limit)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, requests)
}

func (a *api) show(w http.ResponseWriter, r *http.Request) error {
	request, err := a.Store.Request(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, request)
}

func (a *api) requeue(w http.ResponseWriter, r *http.Request) error {
	request, err := a.Store.Request(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	request, requeued, err := app.Update(r.Context(), a.Store, request, func(n app.Notification) (app.Notification, bool) {
		return n.Requeue(time.Now(), a.Pace)
	})
	if err != nil {
		return err
	}
	if !requeued {
		return &httpError{http.StatusConflict, fmt.Sprintf(
			"Only a failed notification can be requeued; this one is %s.", request.Notification.State)}
	}
	a.Offer(request)
	return answer(w, http.StatusAccepted, request)
}

// fail writes the response for an error.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	if fields, ok := errors.AsType[app.FieldErrors](err); ok {
		problem(w, http.StatusBadRequest, "Some fields are not valid.", fields)
		return
	}
	if e, ok := errors.AsType[*httpError](err); ok {
		problem(w, e.status, e.detail, nil)
		return
	}
	if errors.Is(err, app.ErrNotFound) {
		problem(w, http.StatusNotFound, "There is no such request.", nil)
		return
	}
	if r.Context().Err() != nil {
		return // the client has disconnected
	}
	status := a.failed(w, r, err)
	detail := "The request could not be handled; the app's log says why."
	if status == http.StatusServiceUnavailable {
		detail = "The database cannot be reached; try again in a moment."
	}
	problem(w, status, detail, nil)
}

// failed logs an error that the client did not cause, and returns the status of the response. If a retry may help, that is
// 503 and the response has a Retry-After header.
func (a *api) failed(w http.ResponseWriter, r *http.Request, err error) (status int) {
	a.Logger.Error("a call failed", "method", r.Method, "path", r.URL.Path, "error", err)
	if !errors.Is(err, app.ErrUnavailable) {
		return http.StatusInternalServerError
	}
	w.Header().Set("Retry-After", "5")
	return http.StatusServiceUnavailable
}

// problemDetails is the JSON of RFC 9457, with one message per invalid field.
type problemDetails struct {
	Type   string          `json:"type"`
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Detail string          `json:"detail"`
	Errors app.FieldErrors `json:"errors,omitempty"`
}

func problem(w http.ResponseWriter, status int, detail string, fields app.FieldErrors) {
	_ = writeJSON(w, status, "application/problem+json", problemDetails{ // it has nothing but texts, which always encode
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: fields,
	})
}

func answer(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, status, "application/json", v)
}

// writeJSON writes v as the response. When v cannot be encoded it returns an error and has not begun the response.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // keeps a Message-ID readable; the content type is JSON
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("encode the response: %w", err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // fails only if the client has disconnected
	return nil
}
