// Package mongohint says what an error means that an app got from its database, where the cause is the kind of database that
// runs and not the app.
//
//	mongohint.Of("FerretDB v1.24.2 (stand-in)", `insert: unknown field "startTransaction"`) // "the database is FerretDB …"
//
// It recognises the server's own words, which a driver of any language repeats.
package mongohint

import (
	"fmt"
	"regexp"
	"strings"
)

// StandIn is in the version of a database that stands in for MongoDB, as in "FerretDB v1.24.2 (stand-in)".
const StandIn = "stand-in"

// A sign is a text of a server, and what it lacks. $1 is what the text names.
type sign struct {
	text  *regexp.Regexp
	lacks string
	set   bool // it needs a replica set of MongoDB
}

// ofStandIn are the texts of FerretDB v1; a test gets each from the stand-in itself. A real MongoDB has some of them too, for
// mistakes of the app.
var ofStandIn = []sign{
	{regexp.MustCompile(`unknown field "(?:startTransaction|autocommit)"|no such command: '(?:commit|abort)Transaction'`), "transactions", true},
	{regexp.MustCompile(`stage "\$changeStream" is not implemented yet`), "change streams", true},
	{regexp.MustCompile(`the 'aggregate' field must specify a collection name or 1`), "aggregations of a whole database, such as its change streams", true},
	{regexp.MustCompile(`stage "(\$\w+)" is not implemented yet`), "the aggregation stage $1", false},
	{regexp.MustCompile(`The operator (\$\w+) is not implemented yet`), "the operator $1 in expressions ($$expr, aggregations)", false},
	{regexp.MustCompile(`accumulator "(\$\w+)" is not implemented yet`), "the accumulator $1", false},
	{regexp.MustCompile(`'update\.updates\.u' is the wrong type 'array'|Aggregation pipelines are not supported yet`), "updates by an aggregation pipeline", false},
	{regexp.MustCompile(`Index option "(\w+)" is not implemented yet`), "the index option $1", false},
	{regexp.MustCompile(`can't find index with key: \{[^}]*"(text|2d|2dsphere|hashed)"`), "$1 indexes", false},
	{regexp.MustCompile(`support for field "(\w+)" with value .* is not implemented yet`), "the option $1", false},
	{regexp.MustCompile(`unknown (?:top level )?operator: (\$(?:where|text|near|nearSphere|geoWithin|geoIntersects|jsonSchema))\b`), "the query operator $1", false},
}

// ofSingle are the texts of a MongoDB server that is no member of a replica set.
var ofSingle = regexp.MustCompile(`Transaction numbers are only allowed on a replica set member or mongos|\$changeStream stage is only supported on replica sets`)

// Of returns a sentence about the database that explains a text, an app's error or what it printed. It is empty where the text
// says nothing that the database would be the cause of. version is that of the database, as [harness.ServerInfo] has it.
func Of(version, text string) string {
	text = strings.ReplaceAll(text, `\`, "") // of quotation marks, in JSON
	if !strings.Contains(version, StandIn) {
		if ofSingle.MatchString(text) {
			return "the database is a MongoDB without a replica set, which transactions and change streams need: start it with " +
				"--mongo replica-set (in Go, stack.Options.ReplicaSet)"
		}
		return ""
	}
	for _, s := range ofStandIn {
		match := s.text.FindStringSubmatchIndex(text)
		if match == nil {
			continue
		}
		lacks := string(s.text.ExpandString(nil, s.lacks, text, match))
		real := "for a real MongoDB set MONGOD_BIN to its mongod, or use the containers backend with the official image"
		if s.set {
			real += ", and --mongo replica-set (in Go, stack.Options.ReplicaSet)"
		}
		return fmt.Sprintf("the database is FerretDB, a stand-in for MongoDB that lacks %s: %s", lacks, real)
	}
	return ""
}
