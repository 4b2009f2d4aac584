// Package requests creates the requests of the fixtures as a person would, through the app's API.
//
//	r, err := requests.Create(ctx, "http://127.0.0.1:3000", fixtures.Requests()[0])
package requests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/odoo-maintenance/inngest-harness/app"
	"github.com/odoo-maintenance/inngest-harness/fixtures"
)

// Create posts a request of the fixtures to the app at a base URL, and returns it as stored. The app has to know the
// plant that the request is of.
func Create(ctx context.Context, appURL string, f fixtures.Request) (app.Request, error) {
	var r app.Request
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, appURL+"/api/requests", bytes.NewReader(f.Body))
	if err != nil {
		return r, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return r, fmt.Errorf("create %s: %w", f.Name, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return r, fmt.Errorf("create %s: %w", f.Name, err)
	}
	if res.StatusCode != http.StatusCreated {
		return r, fmt.Errorf("create %s: the app answers %s: %s (is the sample world loaded? `make dev` does it)", f.Name, res.Status, body)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("create %s: read the app's answer: %w", f.Name, err)
	}
	return r, nil
}
