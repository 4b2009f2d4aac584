package inngest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/inngest/inngestgo"
	"github.com/inngest/inngestgo/pkg/checkpoint"
)

// AppID is the id under which the app registers.
const AppID = "odoo-maintenance"

// Path is where the app serves its functions.
const Path = "/api/inngest"

// maxCall bounds the body of one call from the server: it holds the event and the outputs of earlier steps.
const maxCall = 32 << 20

// sendTimeout bounds one try to send an event; the SDK makes five.
const sendTimeout = 5 * time.Second

// Options configure a client.
type Options struct {
	// Dev trusts unsigned calls, as the dev server's are. False: calls without a valid signature are rejected.
	Dev bool
	// EventURL and APIURL are the base URLs of the event API and of the API that takes registrations and checkpoints.
	// Required: the SDK's own defaults are the cloud's.
	EventURL, APIURL string
	// EventKey authorises sending events. Empty: the dev server's placeholder.
	EventKey string
	// SigningKey and SigningKeyFallback check calls and sign answers. Required unless Dev.
	SigningKey, SigningKeyFallback string
	// AllowUnsignedSync lets an unsigned PUT register the app outside Dev, which the poll of a self-hosted server needs.
	AllowUnsignedSync bool
	// Logger gets the SDK's messages. Nil: none are logged.
	Logger *slog.Logger
}

// NewClient returns a client and the handler that serves the functions registered with it. When ctx ends, sends under
// way fail within two seconds, and so do later ones at once.
func NewClient(ctx context.Context, o Options) (inngestgo.Client, http.Handler, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.EventKey == "" {
		o.EventKey = "NO_EVENT_KEY_SET"
	}
	eventURL, apiURL := strings.TrimRight(o.EventURL, "/"), strings.TrimRight(o.APIURL, "/")
	client, err := inngestgo.NewClient(inngestgo.ClientOpts{
		AppID:              AppID,
		Dev:                &o.Dev,
		EventKey:           &o.EventKey,
		SigningKey:         &o.SigningKey,
		SigningKeyFallback: &o.SigningKeyFallback,
		EventAPIBaseURL:    &eventURL,
		APIBaseURL:         &apiURL,
		// The zero configuration saves each step as soon as it is done and goes on, instead of being called once per step.
		Checkpoint:  &checkpoint.Config{},
		MaxBodySize: maxCall,
		Logger:      o.Logger,
		HTTPClient:  &http.Client{Timeout: sendTimeout, Transport: stoppable{ctx: ctx}},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("configure the Inngest client: %w", err)
	}
	return client, client.ServeWithOpts(inngestgo.ServeOpts{EnableUnauthedSync: &o.AllowUnsignedSync}), nil
}

// statusStopping is what a send is told once the app stops. The SDK takes a 4xx for the server's word and tries no
// further; after a transport error it would go on trying for seconds.
const statusStopping = 499

// stoppable is the default transport, until ctx ends.
type stoppable struct{ ctx context.Context }

// RoundTrip implements http.RoundTripper.
func (s stoppable) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.ctx.Err() != nil {
		return stopped(r), nil
	}
	// The request has a deadline from the client's timeout but no cancellation: give it both.
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
		StatusCode: statusStopping,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  http.Header{},
		Body:    http.NoBody,
		Request: r,
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
