// Package httpapi is the app's HTTP surface:
//
//	POST /api/requests                     store a request and have its technician notified
//	GET  /api/requests?limit=&after=       list requests by id
//	GET  /api/requests/{id}                one request with the state of its notification
//	POST /api/requests/{id}/notification   requeue a failed notification
//	GET  /requests/{id}                    the page that the email links to
//	*    /api/inngest                      the functions, for the Inngest server
//	GET  /healthz, /readyz                 alive; database reachable
//
// Errors are problem details (RFC 9457). Everything under /api/requests asks for the bearer token (RFC 6750) when one
// is configured; the page, in production, for the signature that the email's link carries, or the token.
package httpapi
