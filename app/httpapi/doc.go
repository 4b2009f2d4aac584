// Package httpapi is the app's HTTP surface:
//
//	POST /api/requests                     create a request; its technician is notified
//	GET  /api/requests?limit=&after=       list requests by id
//	GET  /api/requests/{id}                one request with the state of its notification
//	POST /api/requests/{id}/notification   requeue a failed notification
//	GET  /requests/{id}                    the page that the email links to
//	*    /api/inngest                      the functions, for the Inngest server
//	GET  /healthz, /readyz                 the process is alive; the database answers
//
// Errors are problem details (RFC 9457). Routes under /api/requests require the bearer token (RFC 6750) if one is
// configured. In production the page requires the signature in the email's link, or the token.
package httpapi
