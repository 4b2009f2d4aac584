package inngestapi

import (
	"context"
	"fmt"
	"time"
)

// Worker is a connection of an app to the server (Connect): the server calls the app over it.
type Worker struct {
	App        string // the app's id
	InstanceID string
	Connected  time.Time
	Functions  int
}

// Workers lists the connections that are ready for calls and were made at that time or later, the latest first.
func (c *Client) Workers(ctx context.Context, since time.Time) ([]Worker, error) {
	var data struct {
		WorkerConnections struct {
			Edges []struct {
				Node struct {
					InstanceID, Status string
					ConnectedAt        time.Time
					FunctionCount      int
					App                *struct{ ExternalID string }
				}
			}
		}
	}
	const query = `query($from: Time!) {workerConnections(first: 40, orderBy: [{field: CONNECTED_AT, direction: DESC}], filter: {from: $from})
		{edges {node {instanceID: instanceId status connectedAt functionCount app {externalID}}}}}`
	// The server's times have whole milliseconds.
	since = since.Truncate(time.Millisecond)
	if err := c.query(ctx, query, map[string]any{"from": since}, &data); err != nil {
		return nil, fmt.Errorf("list the connections of apps: %w", err)
	}
	var workers []Worker
	for _, e := range data.WorkerConnections.Edges {
		if w := e.Node; w.Status == "READY" && w.App != nil && !w.ConnectedAt.Before(since) {
			workers = append(workers, Worker{App: w.App.ExternalID, InstanceID: w.InstanceID, Connected: w.ConnectedAt, Functions: w.FunctionCount})
		}
	}
	return workers, nil
}
