package toolchain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/proc"
)

// shownLines is how much of a build's log an error text has.
const shownLines = 15

// Error says why a tool cannot be provided, in sentences for users.
type Error struct {
	Doing   string   // what failed: "build Inngest v1.43.0"
	Why     string   // the reason
	Fix     string   // what to do about it
	Lines   []string // end of the build's log
	LogFile string   // all of it; empty when there is none
	Err     error    // the cause; may be nil
}

// Error says what failed, why, and what to do, and shows the end of the log.
func (e *Error) Error() string {
	text := fmt.Sprintf("cannot %s: %s. %s", e.Doing, strings.TrimSuffix(e.Why, "."), e.Fix)
	if len(e.Lines) > 0 {
		text += "\nThe build's last lines:\n  " + strings.Join(e.Lines[max(0, len(e.Lines)-shownLines):], "\n  ")
	}
	if e.LogFile != "" {
		text += "\nwhole log: " + e.LogFile
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// cannotBuild returns the error of a build. cause may be nil.
func (f *finder) cannotBuild(why, fix string, cause error) *Error {
	return &Error{Doing: "build " + f.recipe.title(), Why: why, Fix: fix, Err: cause}
}

// cancelled explains that ctx ended a build.
func (f *finder) cancelled(ctx context.Context) error {
	cause := context.Cause(ctx)
	fix := "The next try starts where the go command left off."
	if f.recipe.tool == Page {
		fix = "The next try starts from the beginning."
	}
	return f.cannotBuild(fmt.Sprintf("it was cancelled (%v)", cause), fix, cause)
}

// failure explains why a build failed.
func (f *finder) failure(cause error, logFile string) error {
	e := f.cannotBuild("", "", cause)
	e.LogFile = logFile
	text := cause.Error()
	if exit := (*proc.ExitError)(nil); errors.As(cause, &exit) {
		e.Lines = exit.Tail
		text = strings.Join(exit.Tail, "\n")
	}
	switch {
	case diskFull(text):
		e.Why = "the disk is full"
		e.Fix = fmt.Sprintf("Free 3 GB where %s, Go's caches (go env GOCACHE GOMODCACHE) and the temporary folder are, "+
			"or move the first with HARNESS_CACHE, then try again.", f.cache)
	case strings.Contains(text, "GOTOOLCHAIN=local"), strings.Contains(text, "toolchain not available"):
		e.Why = "the go command is too old: " + mainLine(text)
		e.Fix = fmt.Sprintf("Install Go %s or newer (https://go.dev/dl).", strings.TrimPrefix(f.recipe.minGo, "go"))
	case strings.Contains(text, "checksum mismatch"), strings.Contains(text, "SECURITY ERROR"):
		e.Why = "a module is not the one that the harness was tested with: " + mainLine(text)
		e.Fix = "Do not use it. If a module proxy of your own is set (go env GOPROXY), it serves something else."
	case lineWith(text, registrySigns) != "":
		e.Why = "an npm package could not be downloaded: " + lineWith(text, registrySigns)
		e.Fix = "Check the network and the registry (npm config get registry)."
	case lineWith(text, proxySigns) != "":
		e.Why = "a Go module could not be downloaded: " + mainLine(text)
		e.Fix = "Check the network and the module proxy (go env GOPROXY); what is in the module cache needs neither. " +
			fmt.Sprintf("Or let %s name the program.", f.recipe.variable)
		if f.recipe.tool == Page {
			e.Fix = "Check the network and the module proxy (go env GOPROXY)."
		}
	default:
		e.Why = mainLine(text)
		e.Fix = "The log says more."
	}
	return e
}

// cacheFailure explains why the cache cannot be used.
func (f *finder) cacheFailure(cause error) error {
	if diskFull(cause.Error()) {
		return f.failure(cause, "")
	}
	return f.cannotBuild(fmt.Sprintf("the cache %s cannot be used (%v)", f.cache, cause),
		"Make it a folder that can be written, or set HARNESS_CACHE to one.", cause)
}

// misfitFailure explains that a patch does not fit the module.
func (f *finder) misfitFailure(cause *misfit) error {
	return f.cannotBuild(fmt.Sprintf("what the harness changes in it is not as expected (%v)", cause),
		"The pinned version has changed: adapt the patch in harness/tools/patches.go, or remove it if it is no longer needed.", cause)
}

// diskFull recognises the systems' messages, since it often comes as the output of another program.
func diskFull(text string) bool {
	return strings.Contains(text, "no space left on device") || strings.Contains(text, "not enough space on the disk")
}

// proxySigns are in the go command's messages about a module that it could not download.
var proxySigns = []string{
	"module lookup disabled by GOPROXY=off", "dial tcp", "no such host", "connection refused", "i/o timeout", "TLS handshake timeout",
	"network is unreachable", "proxyconnect", "403 Forbidden", "404 Not Found", "410 Gone", "502 Bad Gateway", "503 Service Unavailable",
	"missing go.sum entry", "cannot find module",
}

// registrySigns are in the messages of npm and pnpm about a package that they could not download.
var registrySigns = []string{
	"ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "ERR_SOCKET_TIMEOUT",
	"ERR_PNPM_FETCH_", "ERR_PNPM_META_FETCH_FAIL", "npm error code E4", "npm error code E5",
}

// lineWith returns the longest line that contains one of the signs: it says most. It returns "" where there is none.
func lineWith(text string, signs []string) string {
	longest := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) > len(longest) &&
			slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(line, sign) }) {
			longest = line
		}
	}
	return longest
}

// mainLine returns the last line that is not about progress.
func mainLine(text string) string {
	main := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "go: downloading ") {
			main = line
		}
	}
	if main == "" {
		return "the go command failed and says nothing"
	}
	return strings.TrimPrefix(main, "go: ")
}
