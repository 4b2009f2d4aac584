package address

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSame_IgnoresCaseAndSpace(t *testing.T) {
	t.Parallel()
	require.True(t, Same("Ann@Example.com", " ann@example.COM"))
	require.False(t, Same("ann@example.com", "anne@example.com"))
	require.True(t, In("ANN@example.com", []string{"kim@plant.test", "ann@example.com"}))
	require.False(t, In("ann@example.com", nil))
}
