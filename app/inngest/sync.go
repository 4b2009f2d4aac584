package inngest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/inngest/inngestgo"
)

// Register registers the functions of client with the server, at o.ServeURL. The client must serve no calls: from then on
// it accepts unsigned registrations.
func Register(ctx context.Context, client inngestgo.Client, o Options) error {
	if o.ServeURL == nil {
		return errors.New("register the functions: the app's own URL is missing")
	}
	// The SDK registers only when it handles an unsigned PUT. This one does not leave the process.
	put, err := http.NewRequestWithContext(ctx, http.MethodPut, o.ServeURL.String()+Path, http.NoBody)
	if err != nil {
		return fmt.Errorf("register the functions: %w", err)
	}
	done := make(chan *answer, 1)
	go func() { // The SDK's request to the server does not end with ctx.
		a := &answer{status: http.StatusOK, header: http.Header{}}
		o.serve(client, true).ServeHTTP(a, put)
		done <- a
	}()
	select {
	case a := <-done:
		return a.err()
	case <-ctx.Done():
		return fmt.Errorf("register the functions: the server at %s does not answer: %w", o.APIURL, context.Cause(ctx))
	}
}

// answer is what the SDK's handler writes.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) err() error {
	if a.status == http.StatusOK {
		return nil
	}
	var problem struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal(a.body.Bytes(), &problem); err != nil || problem.Message == "" {
		problem.Message = a.body.String()
	}
	return errors.New(problem.Message)
}
