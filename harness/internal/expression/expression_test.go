package expression

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExpression_ComparesMissingFields has a missing field of the trigger equal a missing one of the arriving event, and two
// missing ones of one event differ, whatever their names hold.
func TestExpression_ComparesMissingFields(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]bool{
		"event.data.id == async.data.id":                true,
		"event.data.id == async.data.event_id":          true,
		"async.data.event_id == async.data.id":          false,
		"async.data.id == async.data.event_id":          false,
		"event.data.async_id == event.data.id":          false,
		"event.data.async_id == async.data.event":       true,
		`async.data["event"] == async.data.id`:          false,
		"async.event == async.data.id":                  false,
		"event.data.id != async.data.event_id":          false,
		"async.data.event_id != async.data.other_event": true,
	} {
		e, err := Compile(source)
		require.NoError(t, err)
		require.Equal(t, want, e.Holds(nil, nil), source)
	}
}
