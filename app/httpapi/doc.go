// Package httpapi is the app's HTTP surface:
//
//	POST /api/requests                       create a request; its technician is notified
//	GET  /api/requests?state=&limit=&after=  list requests by id, in any state or in one
//	GET  /api/requests/{id}                  one request with the state of its notification
//	POST /api/requests/{id}/notification     requeue a failed notification
//	GET  /requests/{id}                      the page that the email links to
//	*    /api/inngest                        the functions, for the Inngest server
//	GET  /healthz, /readyz                   the process is alive; it can work: the database answers, the app is registered
//
// A retry of POST /api/requests with the Idempotency-Key of the first call creates no second request: for 24 hours the
// answer is the same. With another body it is 422.
//
// Errors are problem details (RFC 9457). Routes under /api/requests require a bearer token (RFC 6750) if one is
// configured, and have a rate limit for each token. In production the page requires the signature in the email's link, or the token.
package httpapi
