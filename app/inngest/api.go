package inngest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// apiTimeout limits one question to the server.
const apiTimeout = 5 * time.Second

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 4 << 20

// API asks the server what it knows about the app. The signing key authorizes it. It is safe for concurrent use.
type API struct {
	base string
	keys []string
}

// NewAPI returns the API of the server that o names.
func NewAPI(o Options) API {
	a := API{base: strings.TrimRight(o.APIURL, "/"), keys: []string{o.SigningKey}}
	if o.SigningKeyFallback != "" {
		a.keys = append(a.keys, o.SigningKeyFallback)
	}
	return a
}

// Functions returns the ids of the app's functions that are registered, as inngestgo's FullyQualifiedID has them.
func (a API) Functions(ctx context.Context) ([]string, error) {
	var functions []struct {
		ID string `json:"id"`
	}
	if err := a.get(ctx, "/v1/apps/"+AppID+"/functions", &functions); err != nil {
		return nil, fmt.Errorf("ask for the registered functions: %w", err)
	}
	ids := make([]string, len(functions))
	for i, f := range functions {
		ids[i] = f.ID
	}
	return ids, nil
}

// HasRun reports whether the event has started a run. The id is the one that the server gave the event.
func (a API) HasRun(ctx context.Context, eventID string) (bool, error) {
	var runs struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := a.get(ctx, "/v1/events/"+url.PathEscape(eventID)+"/runs", &runs); err != nil {
		return false, fmt.Errorf("ask for the runs of event %s: %w", eventID, err)
	}
	return len(runs.Data) > 0, nil
}

// get decodes the answer to a GET. While keys are rotated, the server may still have the previous one.
func (a API) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	var status string
	for _, key := range a.keys {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, http.NoBody)
		if err != nil {
			return err
		}
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode == http.StatusOK {
			return json.Unmarshal(body, into)
		}
		status = resp.Status
		if resp.StatusCode != http.StatusUnauthorized {
			break
		}
	}
	return fmt.Errorf("%s%s answers %s", a.base, path, status)
}
