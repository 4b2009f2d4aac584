package mongohint_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/mongohint"
)

const (
	standIn = "FerretDB v1.24.2 (stand-in for MongoDB)"
	real    = "MongoDB 8.0.4"
)

// The texts of the stand-in are in package toolchain, whose test gets them from the stand-in itself.
func TestOf_StandIn(t *testing.T) {
	t.Parallel()
	require.Equal(t, "the database is FerretDB, a stand-in for MongoDB that lacks transactions: for a real MongoDB set MONGOD_BIN to its mongod, "+
		"or use the containers backend with the official image, and --mongo replica-set (in Go, stack.Options.ReplicaSet)",
		mongohint.Of(standIn, `store the order: (FailedToParse) insert: unknown field "startTransaction"`))
	require.Equal(t, "the database is FerretDB, a stand-in for MongoDB that lacks the aggregation stage $lookup: for a real MongoDB set MONGOD_BIN to "+
		"its mongod, or use the containers backend with the official image", mongohint.Of(standIn, "x `aggregate` stage \"$lookup\" is not implemented yet"))
	require.Contains(t, mongohint.Of(standIn, `{"msg":"failed","err":"insert: unknown field \"startTransaction\""}`), "lacks transactions", "as a log in JSON has it")
	require.Contains(t, mongohint.Of(standIn, "The operator $gt is not implemented yet"), "lacks the operator $gt in expressions ($expr, aggregations)")
}

func TestOf_SaysNothingOfOtherErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "write exception: write errors: [E11000 duplicate key error collection: test.docs]", "technician 66f has no email address",
		"payments are not implemented yet", "unknown operator: $gtt", "no such command: 'frobnicate'",
		"server selection error: context deadline exceeded", `unknown field "colour"`,
	} {
		require.Empty(t, mongohint.Of(standIn, text), text)
		require.Empty(t, mongohint.Of(real, text), text)
	}
}

func TestOf_MongoDB(t *testing.T) {
	t.Parallel()
	for _, text := range []string{ // from MongoDB's sources; a member of a replica set has neither
		"(IllegalOperation) Transaction numbers are only allowed on a replica set member or mongos",
		"(Location40573) The $changeStream stage is only supported on replica sets",
	} {
		require.Contains(t, mongohint.Of(real, text), "a MongoDB without a replica set", text)
		require.Empty(t, mongohint.Of(standIn, text), text)
	}
	for _, text := range []string{ // what the stand-in's texts look like, of an app's own mistakes
		`unknown field "startTransaction"`, "no such command: 'commitTransaction'", "`aggregate` stage \"$lookup\" is not implemented yet",
		"The operator $gt is not implemented yet", "unknown top level operator: $text",
	} {
		require.Empty(t, mongohint.Of(real, text), text)
	}
	require.Empty(t, mongohint.Of("", "no such command: 'commitTransaction'"), "nothing is known of the database")
}
