package jsontime_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/jsontime"
)

func TestDuration_IsTextInJSON(t *testing.T) {
	t.Parallel()
	type pause struct {
		For jsontime.Duration `json:"for,omitzero"`
	}
	written, err := json.Marshal([]pause{{For: jsontime.Duration(1500 * time.Millisecond)}, {}})
	require.NoError(t, err)
	require.Equal(t, `[{"for":"1.5s"},{}]`, string(written))
	var read []pause
	require.NoError(t, json.Unmarshal(written, &read))
	require.Equal(t, []pause{{For: jsontime.Duration(1500 * time.Millisecond)}, {}}, read)
	require.NoError(t, json.Unmarshal([]byte(`[{"for":"1w1d"}]`), &read))
	require.Equal(t, 8*24*time.Hour, time.Duration(read[0].For))

	require.EqualError(t, json.Unmarshal([]byte(`[{"for":"soon"}]`), &read), `"soon" is not a duration such as "1.5s" or "3d"`)
	require.EqualError(t, json.Unmarshal([]byte(`[{"for":"-1s"}]`), &read), `the duration "-1s" is negative`)
	require.ErrorContains(t, json.Unmarshal([]byte(`[{"for":3}]`), &read), "cannot unmarshal number")
}
