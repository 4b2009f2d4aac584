package tools

// Patch is a change that a build makes to its own copy of a module: New replaces Old in File. The build fails when File does not
// contain Old exactly Times times, so that a patch is not applied to another version of the module.
type Patch struct {
	File  string // slash-separated path in the vendor folder
	Old   string
	New   string
	Times int
}

// Patches returns the patches of the named tool's modules; nil for a tool without any. The caller may keep and change the
// result.
func Patches(name string) []Patch {
	if name != "ferretdb" {
		return nil
	}
	// FerretDB restricts a query in SQLite to one _id before it filters the documents itself. It does so only if the filter
	// has no other field, and by another expression than the indexed one, so that SQLite reads every document after all.
	// With both patched, finding and updating one document takes as long among thousands as among ten.
	//
	// FerretDB's licence, the Apache License 2.0, requires a notice in changed files: the comments.
	const sqlite = "github.com/FerretDB/FerretDB/internal/backends/sqlite/"
	return []Patch{{
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
}
