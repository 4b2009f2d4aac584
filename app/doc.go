// Package app is the domain of the maintenance notification service: maintenance requests, and the notification that
// each request sends to its technician. It does no I/O; the packages below it do.
//
// A Request and its Notification are stored in one atomic write (an outbox without a second collection). After that the
// notification changes only by the methods in notification.go. Each is a pure function from one state to the next, and
// Update saves the result by compare-and-set (Store.SaveNotification). These methods decide all that keeps an accepted
// request from being lost and its email from being sent twice, so both can be tested without a database:
//
//	pending ──dispatched──▶ dispatched ──claim, send──▶ sent
//	   ▲                        │   │
//	   └──── new generation ────┘   └──permanent cause──▶ failed ──requeued──▶ pending
//
// Words: a dispatch is one sending of the event. A generation is a number, from 1, that is part of the event's
// idempotency key: the Inngest server drops a second dispatch of one generation and starts a run for a new one. A run
// is one execution of the function. An attempt is one try of one step.
//
// The packages:
//
//	mongostore   Store on MongoDB          storetest  conformance suite and reference Store
//	email        render and send           dispatch   pending notifications → events
//	inngest      SDK client, functions     httpapi    routes
//	config       environment               service    all of it wired together
package app
