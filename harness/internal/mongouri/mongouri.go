// Package mongouri puts a database into the URI of a MongoDB server, and takes it out again, without changing who it is
// that signs in: the database of a URI is also where its user is looked up, unless the option authSource names another.
//
//	server, err := mongouri.Server("mongodb://kim:pw@db/plant?tls=true") // mongodb://kim:pw@db/?tls=true&authSource=plant
//	uri, err := mongouri.WithDatabase(server, "app")                      // mongodb://kim:pw@db/app?tls=true&authSource=plant
//
// It follows https://www.mongodb.com/docs/manual/reference/connection-string/.
package mongouri

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Server returns a URI without its database.
func Server(uri string) (string, error) { return WithDatabase(uri, "") }

// WithDatabase returns a URI with this database in the place of the one that it may have. No error shows what is in
// the URI, which may hold a password.
func WithDatabase(uri, database string) (string, error) {
	u, err := url.Parse(uri)
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return "", fmt.Errorf("the MongoDB address is no URI: %w", e.Err)
	}
	if source := signsInAt(u); source != "" {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&authSource="+url.QueryEscape(source), "&")
	}
	u.Path, u.RawPath = "/"+database, ""
	return u.String(), nil
}

// signsInAt returns where the URI's user is looked up, as far as the URI does not say it in an option; "" where it says
// so, has no user, or signs in by a way for which there is no such place.
func signsInAt(u *url.URL) string {
	if u.User == nil {
		return ""
	}
	mechanism := ""
	for option, values := range u.Query() { // names of options do not distinguish case
		switch strings.ToLower(option) {
		case "authsource":
			return ""
		case "authmechanism":
			mechanism = values[0]
		}
	}
	database := strings.TrimPrefix(u.Path, "/")
	switch {
	case mechanism == "" || strings.HasPrefix(mechanism, "SCRAM-"):
		return cmp.Or(database, "admin")
	case mechanism == "PLAIN":
		return cmp.Or(database, "$external")
	default:
		return ""
	}
}
