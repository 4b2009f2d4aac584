package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// Options configure the handler. Fields are required unless documented otherwise.
type Options struct {
	Store app.Store
	// Offer passes a stored request to the dispatcher. It must not block.
	Offer func(app.Request)
	// MessageID returns the Message-ID of a request's email, with angle brackets.
	MessageID func(requestID string) string
	// Inngest serves the functions.
	Inngest http.Handler
	// Ready returns why the app is not ready although the database answers, or "". Nil: it is. It returns soon after ctx
	// has ended.
	Ready func(ctx context.Context) string
	Links app.Links
	Pace  app.Pace
	// TimeZone is the zone in which the page shows times.
	TimeZone *time.Location
	// Token is the bearer token of the requests API. Empty: the API needs no token.
	Token string
	// OpenPages shows request pages without a signature or token, for development.
	OpenPages bool
	Logger    *slog.Logger
}

// MaxBody is the largest accepted body, in bytes.
const MaxBody = 64 << 10

// readyTimeout limits how long /readyz waits for the database.
const readyTimeout = 2 * time.Second

type api struct{ Options }

// New returns the handler of all routes. It is safe for concurrent use and needs no closing.
func New(o Options) http.Handler {
	a := &api{o}
	mux := http.NewServeMux()
	mux.Handle("POST /api/requests", a.authorized(a.create))
	mux.Handle("GET /api/requests", a.authorized(a.list))
	mux.Handle("GET /api/requests/{id}", a.authorized(a.show))
	mux.Handle("POST /api/requests/{id}/notification", a.authorized(a.requeue))
	mux.HandleFunc("GET /requests/{id}", a.page)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		mux.Handle(method+" /api/inngest", a.Inngest)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	return a.logged(secured(mux))
}

func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := a.Store.Ping(ctx); err != nil {
		a.Logger.Warn("not ready: the database does not answer", "error", err)
		plain(w, http.StatusServiceUnavailable, "the database does not answer")
		return
	}
	if a.Ready != nil {
		if reason := a.Ready(ctx); reason != "" {
			a.Logger.Warn("not ready: " + reason)
			plain(w, http.StatusServiceUnavailable, reason)
			return
		}
	}
	plain(w, http.StatusOK, "ready")
}

// authorized requires the token if one is configured. It writes the response for an error of next.
func (a *api) authorized(next func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Token != "" && !a.hasToken(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="maintenance requests"`)
			problem(w, http.StatusUnauthorized, "This needs the API token: send it as Authorization: Bearer <API_TOKEN>.", nil)
			return
		}
		if err := next(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

func (a *api) hasToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	// Comparing hashes takes the same time for tokens of any length.
	got, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(a.Token))
	return a.Token != "" && strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// secured sets the headers of every response.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// logged logs one line per call, without the query, which may hold a signature.
func (a *api) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			level := slog.LevelInfo
			switch {
			case recorder.status >= 500:
				level = slog.LevelError
			case strings.HasSuffix(r.URL.Path, "z"):
				level = slog.LevelDebug // probes
			}
			a.Logger.LogAttrs(r.Context(), level, "http",
				slog.String("method", r.Method),
				slog.String("path", r.URL.Path),
				slog.Int("status", recorder.status),
				slog.Int64("bytes", recorder.bytes),
				slog.Duration("took", time.Since(start).Round(time.Microsecond)),
				slog.String("from", r.RemoteAddr),
			)
		}()
		next.ServeHTTP(recorder, r)
	})
}

// recorder records status and size of a response.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // fails only if the client has disconnected
}
