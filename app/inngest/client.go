package inngest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
)

// AppID is the app's id on the Inngest server.
const AppID = "odoo-maintenance"

// Path is the URL path of the handler.
const Path = "/api/inngest"

// maxCall is the largest body of a call, in bytes. It holds the event and the outputs of earlier steps.
const maxCall = 32 << 20

// sendTimeout limits one try to send an event. The SDK makes five.
const sendTimeout = 5 * time.Second

// Options configure a client.
type Options struct {
	// Dev accepts unsigned calls, such as the dev server's. False: calls without a valid signature are rejected.
	Dev bool
	// EventURL is the base URL of the event API, APIURL that of the API for registrations and checkpoints. Required: the
	// SDK would use Inngest Cloud.
	EventURL, APIURL string
	// EventKey authorizes sending events. Empty: a placeholder that the dev server accepts.
	EventKey string
	// SigningKey and SigningKeyFallback verify calls and sign responses. Outside Dev, SigningKey is required.
	SigningKey, SigningKeyFallback string
	// ServeURL is the base URL at which the server reaches the app: the app registers Path below it. Nil: the address to
	// which a caller sends its PUT. Outside Dev it is required to serve, because a caller can send any Host header.
	ServeURL *url.URL
	// Logger receives the SDK's messages. Nil: they are dropped.
	Logger *slog.Logger
	// Connection keeps why a connection failed, for the Worker that has the same Options. Nil: it is not kept.
	Connection *ConnectionError
}

// NewClient returns a client and the handler that serves the functions created on it. When ctx ends, pending sends fail
// within two seconds, and later ones at once.
func NewClient(ctx context.Context, o Options) (inngestgo.Client, http.Handler, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.EventKey == "" {
		o.EventKey = "NO_EVENT_KEY_SET"
	}
	eventURL, apiURL := strings.TrimRight(o.EventURL, "/"), strings.TrimRight(o.APIURL, "/")
	if o.ServeURL == nil && !o.Dev {
		return nil, nil, errors.New("configure the Inngest client: the app's own URL is missing")
	}
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID:              AppID,
		Dev:                &o.Dev,
		EventKey:           &o.EventKey,
		SigningKey:         &o.SigningKey,
		SigningKeyFallback: &o.SigningKeyFallback,
		EventAPIBaseURL:    &eventURL,
		APIBaseURL:         &apiURL,
		// The zero configuration saves each step when it is done and continues, instead of waiting for a call per step.
		Checkpoint:  &checkpoint.Config{},
		MaxBodySize: maxCall,
		Logger:      slog.New(sdkLog{Handler: o.Logger.Handler(), last: o.Connection}),
		HTTPClient:  &http.Client{Timeout: sendTimeout, Transport: stoppable{ctx: ctx}},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("configure the Inngest client: %w", err)
	}
	return client, o.serve(client, false), nil
}

// serve returns the handler of the client. Outside Dev, an unsigned PUT registers the app only with unsigned; the SDK
// would otherwise read INNGEST_ENABLE_UNAUTHED_SYNC.
func (o Options) serve(client inngestgo.Client, unsigned bool) http.Handler {
	opts := inngestgo.ServeOpts{EnableUnauthedSync: &unsigned}
	if o.ServeURL != nil {
		origin, path := o.ServeURL.Scheme+"://"+o.ServeURL.Host, o.ServeURL.Path+Path
		opts.Origin, opts.Path = &origin, &path
	}
	return client.ServeWithOpts(opts)
}

// stoppable is the default transport until ctx ends. After that it answers 499: the SDK does not retry a 4xx, but retries
// a transport error for seconds.
type stoppable struct{ ctx context.Context }

// RoundTrip implements http.RoundTripper.
func (s stoppable) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.ctx.Err() != nil {
		return stopped(r), nil
	}
	// The SDK's request has a deadline, but ignores the caller's cancellation.
	ctx, cancel := context.WithCancel(r.Context())
	defer context.AfterFunc(s.ctx, cancel)()
	resp, err := http.DefaultTransport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		if s.ctx.Err() != nil {
			return stopped(r), nil
		}
		return nil, err
	}
	resp.Body = cancelOnClose{resp.Body, cancel}
	return resp, nil
}

func stopped(r *http.Request) *http.Response {
	return &http.Response{
		Status:     "499 the app is stopping",
		StatusCode: 499,
		Header:     http.Header{},
		Body:       http.NoBody,
		Request:    r,
	}
}

type cancelOnClose struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c cancelOnClose) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}
