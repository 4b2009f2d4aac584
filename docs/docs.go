// Package docs holds the documents of this directory, which `harness help` prints.
package docs

import "embed"

// FS has the documents, as Markdown.
//
//go:embed *.md
var FS embed.FS
