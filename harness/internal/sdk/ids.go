package sdk

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
)

// StepHash returns the id of a step on the wire: the hash of its id in the code, which for the second and later use of
// one id in a run is "id:1", "id:2" and so on. The hash of "" is "".
func StepHash(id string) string {
	if id == "" {
		return ""
	}
	sum := sha1.Sum([]byte(id))
	return hex.EncodeToString(sum[:])
}

// FunctionID returns the id of an app's function on the wire: with the app's id in front.
func FunctionID(app, function string) string { return app + "-" + function }

// SplitFunctionID returns the id of a function without the app's id in front. Both may contain hyphens, so the app must
// be known. An id without the prefix is returned as it is.
func SplitFunctionID(functionID, app string) (function string) {
	return strings.TrimPrefix(functionID, app+"-")
}

// TriggerMatches reports whether a trigger on pattern starts its function for an event of this name. A pattern is a name,
// or a prefix of names that ends with "/" or ".", and "*": "order/*", "api/v1/*", "order/item.*". A "*" elsewhere, also
// one that stands alone, is an ordinary character, as on the server. A schedule has an empty pattern and matches nothing.
func TriggerMatches(pattern, name string) bool {
	if pattern == name {
		return name != ""
	}
	prefix, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasPrefix(name, prefix) && (strings.HasSuffix(prefix, "/") || strings.HasSuffix(prefix, "."))
}
