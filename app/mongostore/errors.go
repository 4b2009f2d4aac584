package mongostore

import (
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/odoo-maintenance/inngest-harness/app"
)

// failure adds the operation to err. It wraps app.ErrUnavailable if the database could not be reached, and app.ErrConflict
// if a document with the same id exists.
func failure(doing string, err error) error {
	if unreachable(err) {
		return fmt.Errorf("%s: %w: %w", doing, app.ErrUnavailable, err)
	}
	if mongo.IsDuplicateKeyError(err) {
		return fmt.Errorf("%s: %w: %w", doing, app.ErrConflict, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// unreachable reports whether err is about the connection to the database and not about the operation.
func unreachable(err error) bool {
	_, none := errors.AsType[topology.ServerSelectionError](err)
	_, broken := errors.AsType[topology.ConnectionError](err)
	labeled, ok := errors.AsType[mongo.LabeledError](err)
	stepping := ok && labeled.HasErrorLabel("RetryableWriteError") // the label of a server that steps down or stops
	return none || broken || stepping ||
		mongo.IsNetworkError(err) || mongo.IsTimeout(err) || errors.Is(err, mongo.ErrClientDisconnected)
}
