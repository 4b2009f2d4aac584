package inngestapi

import (
	"context"
	"errors"
	"fmt"
)

// Defer is a function that a run has deferred: it starts when the run has ended.
type Defer struct {
	ID         string // as in the code
	FunctionID string // with the app's id in front
	Status     string // SCHEDULED, ABORTED by the run, or REJECTED by the server
	RunID      string // of the run that it started; empty so far
}

// Defers returns the functions that a run has deferred, or [ErrNotShown].
func (c *Client) Defers(ctx context.Context, runID string) ([]Defer, error) {
	var data struct {
		Run struct {
			Defers []struct{ UserlandDeferID, FnSlug, Status, RunID string }
		}
	}
	err := c.query(ctx, "query($id:String!){run(runID:$id){defers{userlandDeferID fnSlug status runID}}}", map[string]any{"id": runID}, &data)
	if errors.Is(err, errNoGraphQL) {
		err = ErrNotShown
	}
	if err != nil {
		return nil, fmt.Errorf("read what run %s has deferred: %w", runID, err)
	}
	out := make([]Defer, len(data.Run.Defers))
	for i, d := range data.Run.Defers {
		out[i] = Defer{ID: d.UserlandDeferID, FunctionID: d.FnSlug, Status: d.Status, RunID: d.RunID}
	}
	return out, nil
}
