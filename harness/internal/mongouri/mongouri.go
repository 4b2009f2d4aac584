// Package mongouri sets and removes the database in the URI of a MongoDB server, without changing where its user is
// authenticated: in the database of the URI, unless the option authSource names another one.
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

// WithDatabase returns a URI with this database in place of the one that it may have. Errors do not show the URI, which may
// contain a password.
func WithDatabase(uri, database string) (string, error) {
	u, err := url.Parse(uri)
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return "", fmt.Errorf("the MongoDB address is no URI: %w", e.Err)
	}
	if source := authDatabase(u); source != "" {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&authSource="+url.QueryEscape(source), "&")
	}
	u.Path, u.RawPath = "/"+database, ""
	return u.String(), nil
}

// authDatabase returns the database in which the URI's user is authenticated by default. It returns "" for a URI with an
// authSource, without a user, or with a mechanism that uses no database.
func authDatabase(u *url.URL) string {
	if u.User == nil {
		return ""
	}
	mechanism := ""
	for option, values := range u.Query() { // option names are case-insensitive
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
