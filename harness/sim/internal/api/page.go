package api

import (
	"io/fs"
	"net/http"
	"strings"
)

// pageShell is the document that the server returns for every path of its page.
const pageShell = "_shell.html"

// pagePaths are the paths of the server's page, without a slash at their end. What each shows is made by the page itself.
var pagePaths = map[string]bool{
	"": true, "/apps": true, "/apps/app": true, "/apps/choose-framework": true, "/apps/choose-template": true,
	"/functions": true, "/functions/config": true, "/runs": true, "/run": true, "/events": true, "/event": true,
	"/debugger/function": true, "/ai/experiments": true, "/ai/scores": true, "/mcp/setup": true,
}

// HasPage reports whether these files are those of the server's page; nil are not.
func HasPage(files fs.FS) bool { return isFile(files, pageShell) }

// withPage serves the server's page for its paths and its files, as far as it has them. The API answers all else.
func withPage(files fs.FS, api http.Handler) http.Handler {
	if files == nil {
		return api
	}
	static := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			api.ServeHTTP(w, r)
		case pagePaths[strings.TrimSuffix(r.URL.Path, "/")] && HasPage(files):
			http.ServeFileFS(w, r, files, pageShell)
		case isFile(files, strings.TrimPrefix(r.URL.Path, "/")):
			static.ServeHTTP(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

func isFile(files fs.FS, name string) bool {
	if files == nil {
		return false
	}
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular()
}
