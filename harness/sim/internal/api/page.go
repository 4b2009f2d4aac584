package api

import (
	"io"
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

// noPage is what a browser shows in place of a page that is not there yet. It looks again by itself.
const noPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="5">
<title>Inngest’s page is not built yet</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }</style>
<main>
<h1>Inngest’s page is not built yet</h1>
<p>This is sim, which stands in for the Inngest server. <code>harness up</code> builds the page in the background, where Node and
npm are there; it then appears here by itself. <code>harness doctor</code> says what is missing.</p>
<p>The dashboard of <code>harness up</code> shows events, runs and emails without it.</p>
</main>
</html>
`

// withPage serves the server's page for its paths and its files, as far as it has them; until it does, its paths say so. The
// API answers all else.
func withPage(files fs.FS, api http.Handler) http.Handler {
	if files == nil {
		return api
	}
	static := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			api.ServeHTTP(w, r)
		case pagePaths[strings.TrimSuffix(r.URL.Path, "/")]:
			if HasPage(files) {
				http.ServeFileFS(w, r, files, pageShell)
				return
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, noPage)
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
