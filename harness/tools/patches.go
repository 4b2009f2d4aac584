package tools

// Patch is a change that a build makes to its own copy of a module: New replaces Old in File. The build fails when File does not
// contain Old exactly Times times, so that a patch is not applied to another version of the module.
type Patch struct {
	File  string // slash-separated path in the vendor folder
	Old   string
	New   string
	Times int
}

// Patches returns the patches of the named tool's modules; nil for a tool without any. The caller must not change the result.
func Patches(name string) []Patch { return patches[name] }

var patches = map[string][]Patch{"ferretdb": ferretDB, "inngest": inngest}

// FerretDB restricts a query in SQLite to one _id before it filters the documents itself. It does so only if the filter
// has no other field, and by another expression than the indexed one, so that SQLite reads every document after all.
// With both patched, finding and updating one document takes as long among thousands as among ten.
//
// FerretDB's licence, the Apache License 2.0, requires a notice in changed files: the comments.
var ferretDB = []Patch{{
	File:  sqlite + "collection.go",
	Old:   "if params.Filter.Len() == 1 {\n\t\tv, _ := params.Filter.Get(\"_id\")\n",
	New:   "// Changed by inngest-harness: was only where the filter has no other field. The caller applies all of it, as ever.\n\tif v := params.Filter.Map()[\"_id\"]; v != nil {\n",
	Times: 2, // in Query and Explain
}, {
	File:  sqlite + "metadata/metadata.go",
	Old:   `IDColumn = DefaultColumn + "->'$._id'"`,
	New:   "// Changed by inngest-harness: was ->'$._id', which means the same, but is not what the index is made of.\n\tIDColumn = DefaultColumn + \"->'_id'\"",
	Times: 1,
}}

const sqlite = "github.com/FerretDB/FerretDB/internal/backends/sqlite/"

// ConnectHost names the environment variable that gives a built Inngest server the host of its Connect ports.
const ConnectHost = "HARNESS_CONNECT_HOST"

// Inngest listens for Connect on all interfaces, whatever its --host, and admits workers by tokens that are signed with a
// published constant. Patched, its three Connect ports listen on the host in [ConnectHost]; without one, as before.
var inngest = []Patch{
	connectPort("service.go", "addr", "c.gatewayPublicPort"),
	connectPort("service.go", "grpcAddr", "c.grpcConfig.Gateway.Port"),
	connectPort("grpc/grpc.go", "addr", "i.executorGRPCPort"),
	{
		File: connect + "grpc/grpc.go", Old: "\t\"net\"\n\t\"sync\"\n",
		New: "\t\"net\"\n\t\"os\" // Changed by inngest-harness: was not needed.\n\t\"sync\"\n", Times: 1,
	},
}

const connect = "github.com/inngest/inngest/pkg/connect/"

func connectPort(file, addr, port string) Patch {
	return Patch{
		File:  connect + file,
		Old:   addr + ` := fmt.Sprintf(":%d", ` + port + ")",
		New:   "// Changed by inngest-harness: was on all interfaces.\n\t" + addr + ` := fmt.Sprintf("%s:%d", os.Getenv("` + ConnectHost + `"), ` + port + ")",
		Times: 1,
	}
}
