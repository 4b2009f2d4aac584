// Package tools holds, as text, one tiny Go module for each server that the harness builds from source: Inngest's dev
// server, MailHog, Mailpit, the stand-in for MongoDB, and Caddy, the balancer of the compose profile production. Package
// toolchain writes them out and builds them; nothing of them is linked into the harness.
//
// Each is a module of its own because in one module their requirements would raise each other. The files end in .txt
// because a nested module would be left out of the harness's module zip, and go:embed refuses it: as text it travels
// wherever the harness does.
//
// FerretDB and Inngest are patched before they are built: see [Patches].
//
// The directory page is no Go module but an npm package: it pins the package manager that builds Inngest's page from the
// sources in Inngest's module, whose package.json names the same version in packageManager.
//
// The version in a go.mod is the pin, and is stated nowhere else. To change it, copy the files to a
// scratch folder without the .txt, `go get` the new version there, `go mod tidy` (for Inngest: with -e, since module
// zips lack a folder that it embeds, and with GONOSUMDB=github.com/inngest/* should the checksum database not know one
// of its requirements), and copy go.mod and go.sum back.
package tools
