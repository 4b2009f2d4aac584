package tools

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed */*.txt
var sources embed.FS

// Sources returns the files of the named tool's module ("inngest", "mailhog", "mailpit", "ferretdb", "caddy", "page") by the names
// that they have in a build: go.mod, go.sum and, where the tool has a program of its own, its Go files; for the page package.json and
// package-lock.json. The caller may keep and change the result.
func Sources(name string) (map[string][]byte, error) {
	entries, err := sources.ReadDir(name)
	if err != nil {
		return nil, fmt.Errorf("no sources of a tool %q: %w", name, err)
	}
	files := make(map[string][]byte, len(entries))
	for _, e := range entries {
		text, err := fs.ReadFile(sources, path.Join(name, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the sources of %s: %w", name, err)
		}
		files[strings.TrimSuffix(e.Name(), ".txt")] = text
	}
	return files, nil
}
