package api

import (
	"testing"

	"github.com/graph-gophers/graphql-go"
	"github.com/stretchr/testify/require"
)

func TestSchema_IsResolved(t *testing.T) {
	t.Parallel()
	_, err := graphql.ParseSchema(schema, &query{}, graphql.UseFieldResolvers())
	require.NoError(t, err)
}
