package proc_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// running is a program that runs for ever.
type running struct{}

func (running) Name() string          { return "app" }
func (running) Done() <-chan struct{} { return nil }
func (running) Err() error            { return nil }
func (running) Tail() []string        { return nil }
func (running) LogFile() string       { return "" }

func TestAwaitReady_SaysThatAProgramAcceptsAndHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		looks := 0
		err := proc.AwaitReady(ctx, running{}, func(ctx context.Context) error {
			if looks++; looks == 1 {
				return errors.New("connection refused")
			}
			<-ctx.Done() // as a request does that is not answered
			return ctx.Err()
		})
		require.EqualError(t, err, "app was not ready after 1m0s: there has been no answer for 1m0s; it wrote nothing")
	})
}
