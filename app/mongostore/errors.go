package mongostore

import (
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// failure says what was being done when err occurred, and is app.ErrUnavailable where the database had no part in it.
func failure(doing string, err error) error {
	if unreachable(err) {
		return fmt.Errorf("%s: %w: %w", doing, app.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// unreachable reports whether err is about the way to the database, and not about what was asked of it.
func unreachable(err error) bool {
	if mongo.IsNetworkError(err) || mongo.IsTimeout(err) || errors.Is(err, mongo.ErrClientDisconnected) {
		return true
	}
	if _, none := errors.AsType[topology.ServerSelectionError](err); none {
		return true
	}
	if _, broken := errors.AsType[topology.ConnectionError](err); broken {
		return true
	}
	// A server that steps down or stops says so.
	labeled, ok := errors.AsType[mongo.LabeledError](err)
	return ok && labeled.HasErrorLabel("RetryableWriteError")
}
