package tools

// Patch is a change that a build makes to its own copy of a module: New replaces Old in File. The build fails when File does not
// contain Old exactly Times times, so that a patch is not applied to another version of the module.
type Patch struct {
	File  string // slash-separated path in the vendor folder; of the page, in the module's directory ui
	Old   string
	New   string
	Times int
}

// Patches returns the patches of the named tool's modules; nil for a tool without any. The caller must not change the result.
func Patches(name string) []Patch { return patches[name] }

var patches = map[string][]Patch{"ferretdb": ferretDB, "inngest": inngest, "page": page}

// FerretDB restricts a query in SQLite to one _id before it filters the documents itself. It does so only if the filter
// has no other field, and by another expression than the indexed one, so that SQLite reads every document after all.
// With both patched, finding and updating one document takes as long among thousands as among ten.
//
// For each query it also records the stack, to find leaks, and formats a line of its debug log, both whether wanted or not. Patched,
// it does neither.
//
// Of MongoDB's driver it uses a struct, and its backend for MySQL is part of all builds: a quarter of what is compiled for it. Patched,
// it has a struct of its own, and no such backend.
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
}, {
	File:  ferretdb + "util/resource/resource.go",
	Old:   "token *Token) {\n\tcheckArgs(obj, token)\n",
	New:   "token *Token) {\n\t// Changed by inngest-harness: was for all builds.\n\tif !debugbuild.Enabled {\n\t\treturn\n\t}\n\tcheckArgs(obj, token)\n",
	Times: 2, // in Track and Untrack
}, {
	File:  ferretdb + "handler/msg_find.go",
	Old:   "\th.L.DebugContext(ctx, fmt.Sprintf(\"Converted %+v for %+v to %+v.\", params, cInfo, qp))\n",
	New:   "\t// Changed by inngest-harness: was logged here at debug level.\n",
	Times: 1,
}, {
	File: ferretdb + "handler/msg_insert.go", Old: driver, New: "", Times: 1,
}, {
	File:  ferretdb + "handler/msg_insert.go",
	Old:   "// WriteErrorDocument returns",
	New:   "// Changed by inngest-harness: was that of MongoDB's driver.\ntype writeError struct {\n\tIndex, Code int\n\tMessage string\n}\n\n// WriteErrorDocument creates",
	Times: 1,
}, {
	File: ferretdb + "handler/msg_insert.go", Old: "mongo.WriteError", New: "writeError", Times: 5,
}, {
	File: ferretdb + "handler/msg_delete.go", Old: driver, New: "\t// Changed by inngest-harness: was also MongoDB's driver.\n", Times: 1,
}, {
	File: ferretdb + "handler/msg_delete.go", Old: "mongo.WriteError", New: "writeError", Times: 1,
}, {
	File:  ferretdb + "handler/registry/mysql.go",
	Old:   "\npackage registry\n",
	New:   "\n//go:build ferretdb_mysql\n\n// Changed by inngest-harness: was part of all builds.\n\npackage registry // where MySQL is wanted\n",
	Times: 1,
}}

const driver = "\t\"go.mongodb.org/mongo-driver/mongo\"\n"

const (
	ferretdb = "github.com/FerretDB/FerretDB/internal/"
	sqlite   = ferretdb + "backends/sqlite/"
)

// ConnectHost names the environment variable that gives a built Inngest server the host of its Connect ports.
const ConnectHost = "HARNESS_CONNECT_HOST"

// PageDir names the environment variable that gives a built Inngest server the directory of its page.
const PageDir = "HARNESS_INNGEST_PAGE_DIR"

// Inngest listens for Connect on all interfaces, whatever its --host, and admits workers by tokens that are signed with a
// published constant. Patched, its three Connect ports listen on the host in [ConnectHost]; without one, as before.
//
// It embeds its page, which its module has as source only, and then is empty. Patched, it serves the page from the directory in
// [PageDir], also one that is made later; without one, as before.
var inngest = []Patch{
	connectPort("service.go", "addr", "c.gatewayPublicPort"),
	connectPort("service.go", "grpcAddr", "c.grpcConfig.Gateway.Port"),
	connectPort("grpc/grpc.go", "addr", "i.executorGRPCPort"),
	{
		File: connect + "grpc/grpc.go", Old: "\t\"net\"\n\t\"sync\"\n",
		New: "\t\"net\"\n\t\"os\" // Changed by inngest-harness: was not needed.\n\t\"sync\"\n", Times: 1,
	},
	{
		File: pageFile, Old: "\t\"embed\"\n\t\"mime\"\n\t\"path\"\n",
		New: "\t\"embed\"\n\t\"io/fs\" // Changed by inngest-harness: was not needed, nor os.\n\t\"mime\"\n\t\"os\"\n\t\"path\"\n", Times: 1,
	}, {
		File: pageFile, Old: "var static embed.FS\n",
		New: "var embedded embed.FS // Changed by inngest-harness: was the page in any case.\n\nvar static = func() fs.ReadFileFS {\n\tif dir := os.Getenv(\"" + PageDir +
			"\"); dir != \"\" {\n\t\treturn os.DirFS(dir).(fs.ReadFileFS)\n\t}\n\treturn embedded\n}()\n", Times: 1,
	},
}

const pageFile = "github.com/inngest/inngest/pkg/devserver/ui.go"

const connect = "github.com/inngest/inngest/pkg/connect/"

func connectPort(file, addr, port string) Patch {
	return Patch{
		File:  connect + file,
		Old:   addr + ` := fmt.Sprintf(":%d", ` + port + ")",
		New:   "// Changed by inngest-harness: was on all interfaces.\n\t" + addr + ` := fmt.Sprintf("%s:%d", os.Getenv("` + ConnectHost + `"), ` + port + ")",
		Times: 1,
	}
}

// PageEditor is where the page's build puts the editor that shows payloads, below the page's address.
const PageEditor = "/assets/monaco/vs"

// The page loads the editor that shows payloads and outputs from a server on the internet. Patched, it has it from the server
// that it comes from itself, so that it shows the same without a network. The address is a whole one, since the editor's workers,
// which have none of their own, load from it, too.
var page = []Patch{{
	File: "apps/dev-server-ui/src/router.tsx",
	Old:  "react-router';\n\nimport { routeTree } from './routeTree.gen';\n",
	New: "react-router';\nimport { loader } from '@monaco-editor/react'; // Changed by inngest-harness: the editor came from the internet.\n\n" +
		"import { routeTree } from './routeTree.gen';\nloader.config({ paths: { vs: (globalThis.location?.origin ?? '') + '" + PageEditor + "' } });\n",
	Times: 1,
}}
