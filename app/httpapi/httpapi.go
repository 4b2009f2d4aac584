package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// Options configure the handler. Fields are required unless documented otherwise.
type Options struct {
	Store app.Store
	// Offer passes a stored request to the dispatcher. It must not block.
	Offer func(app.Request)
	// MessageID returns the Message-ID of a request's email, with angle brackets.
	MessageID func(requestID string) string
	// Inngest serves the functions. Nil: the app is connected to Inngest, and there is no such route.
	Inngest http.Handler
	// Ready returns why the app is not ready although the database answers, or "". Nil: it is. It returns soon after ctx
	// has ended.
	Ready func(ctx context.Context) string
	// TraceParent returns the W3C trace context that a created request keeps, or "". Nil: none.
	TraceParent func(context.Context) string
	Links       app.Links
	Pace        app.Pace
	// TimeZone is the zone in which the page shows times.
	TimeZone *time.Location
	// Tokens are the bearer tokens that the requests API accepts. None: the API needs no token.
	Tokens []string
	// Rate limits the calls of the requests API per second with each token. It also bounds a burst. Zero: no limit.
	Rate int
	// OpenPages shows request pages without a signature or token, for development.
	OpenPages bool
	Logger    *slog.Logger
}

// MaxBody is the largest accepted body, in bytes.
const MaxBody = 64 << 10

// readyTimeout limits how long /readyz waits for the database.
const readyTimeout = 2 * time.Second

type api struct {
	Options
	limits []*rate.Limiter // of Tokens
}

// New returns the handler of all routes. It is safe for concurrent use and needs no closing.
func New(o Options) http.Handler {
	a := &api{Options: o}
	for range o.Tokens {
		limiter := rate.NewLimiter(rate.Limit(o.Rate), o.Rate)
		if o.Rate == 0 {
			limiter.SetLimit(rate.Inf)
		}
		a.limits = append(a.limits, limiter)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /api/requests", a.authorized(a.create))
	mux.Handle("GET /api/requests", a.authorized(a.list))
	mux.Handle("GET /api/requests/{id}", a.authorized(a.show))
	mux.Handle("POST /api/requests/{id}/notification", a.authorized(a.requeue))
	mux.HandleFunc("GET /requests/{id}", a.page)
	if a.Inngest != nil {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
			mux.Handle(method+" /api/inngest", a.Inngest)
		}
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

// authorized requires a token if any is configured, and limits its rate. It writes the response for an error of next.
func (a *api) authorized(next func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := a.token(r)
		switch {
		case len(a.Tokens) == 0:
		case !ok:
			w.Header().Set("WWW-Authenticate", `Bearer realm="maintenance requests"`)
			problem(w, http.StatusUnauthorized, "This needs the API token: send it as Authorization: Bearer <API_TOKEN>.", nil)
			return
		case !a.limits[token].Allow():
			w.Header().Set("Retry-After", "1")
			problem(w, http.StatusTooManyRequests, fmt.Sprintf("There are more than %d calls per second with this token; try again in a second.", a.Rate), nil)
			return
		}
		if err := next(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// token returns which of Tokens the call has, and false for none.
func (a *api) token(r *http.Request) (index int, ok bool) {
	scheme, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return 0, false
	}
	// Comparing hashes takes the same time for tokens of any length.
	got := sha256.Sum256([]byte(strings.TrimSpace(credential)))
	for i, token := range a.Tokens {
		if want := sha256.Sum256([]byte(token)); subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			index, ok = i, true
		}
	}
	return index, ok
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
			case r.URL.Path == "/healthz" || r.URL.Path == "/readyz":
				level = slog.LevelDebug // a probe asks often; an error of the database has a line of its own
			case recorder.status >= 500:
				level = slog.LevelError
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
