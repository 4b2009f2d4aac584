// Package thishost tells requests of this machine's own programs and pages from those that a page of another site makes a
// browser send.
package thishost

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Named reports whether a Host header names this machine. A foreign name that resolves to this machine makes a foreign
// page one of the same origin: only the Host shows it.
func Named(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

// Refusal says why a request may come from a page of another site; "" means that it does not. Pages of this machine may
// send requests to any of its ports.
func Refusal(r *http.Request) string {
	if !Named(r.Host) {
		return fmt.Sprintf("it is addressed as %q: use 127.0.0.1 or localhost", r.Host)
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return "it comes from another site's page"
	}
	origin := r.Header.Get("Origin")
	if u, err := url.Parse(origin); origin != "" && (err != nil || !Named(u.Host)) {
		return "it comes from a page of " + origin
	}
	return ""
}

// Guard passes requests on that no page of another site has sent, and answers others with 403.
func Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := Refusal(r); why != "" {
			http.Error(w, "This is for programs of this machine; the request is refused: "+why, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
