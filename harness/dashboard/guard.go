package dashboard

import (
	"net/http"
	"net/netip"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/thishost"
)

// pagePolicy is the content security policy of the dashboard's own pages: their scripts and styles come from here and
// stand in no page; an email's frame comes from here too.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard passes requests that come from this machine, and from no page of another site.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if why := refusal(r); why != "" {
			http.Error(w, "The dashboard does not answer this: "+why, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

var crossOrigin http.CrossOriginProtection

// refusal says why a request is not answered; "" means that it is.
func refusal(r *http.Request) string {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		return "it comes from another machine."
	}
	if !thishost.Named(r.Host) {
		return "open it as localhost or 127.0.0.1."
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		if r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document" {
			return "it comes from another site's page."
		}
	}
	changes := r.Method != http.MethodGet && r.Method != http.MethodHead
	if changes && (r.Header.Get("Origin") == "" || crossOrigin.Check(r) != nil) {
		return "what changes something must come from its own pages (Origin)."
	}
	return ""
}
