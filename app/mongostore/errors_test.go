package mongostore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/odoo-maintenance/inngest-harness/app"
)

func TestFailure_IsErrUnavailableIfDatabaseIsUnreachable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		away bool
	}{
		{"connection lost", mongo.CommandError{Message: "EOF", Labels: []string{"NetworkError"}}, true},
		{"no server", topology.ServerSelectionError{Wrapped: errors.New("timed out")}, true},
		{"connection refused", topology.ConnectionError{Wrapped: errors.New("refused")}, true},
		{"too slow", fmt.Errorf("write: %w", context.DeadlineExceeded), true},
		{"client closed", mongo.ErrClientDisconnected, true},
		{"stepping down", mongo.CommandError{Code: 10107, Name: "NotWritablePrimary", Labels: []string{"RetryableWriteError"}}, true},
		{"called off", context.Canceled, false},
		{"key is taken", mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 11000, Message: "duplicate key"}}}, false},
		{"not allowed", mongo.CommandError{Code: 13, Name: "Unauthorized"}, false},
		{"not what was stored", errors.New("cannot decode string into a time.Time"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := failure("find requests", c.err)
			require.Equal(t, c.away, errors.Is(err, app.ErrUnavailable))
			require.ErrorContains(t, err, "find requests: ")
			require.ErrorContains(t, err, c.err.Error())
		})
	}
}
