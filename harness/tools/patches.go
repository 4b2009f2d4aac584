package tools

// Patch is a change that a build makes to its own copy of a module: in File, each place where Old stands gets New. It is
// strict, so that it cannot hit another version of the module by luck: where Old does not stand exactly Times times, there
// is no build.
type Patch struct {
	File  string // slash-separated path in the vendor folder
	Old   string
	New   string
	Times int
}

// Patches returns the changes to the modules of the named tool, of which there may be none. The caller may keep and
// change the result.
func Patches(name string) []Patch {
	if name != "ferretdb" {
		return nil
	}
	// FerretDB narrows a query in SQLite before it filters the documents itself, but only by _id, and never by its
	// index: it does so where the filter has no other field, and by an expression that is not the one that it has
	// indexed, so that SQLite reads every document after all. With both changed, finding and updating one document
	// takes as long among thousands as among ten.
	//
	// Its licence, the Apache License 2.0, wants a notice in a file that was changed: the comments.
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
