// Package app is the domain of the maintenance notification service: requests, the notification each of them owes
// its technician, and the rules both obey. It does no I/O; packages below it do.
//
// A Request is stored together with its Notification in one write (an outbox without a second collection). From
// then on the notification moves by the methods in notification.go, each a pure function from one state to the
// next, and is saved by compare-and-set (Store.SaveNotification). Everything that keeps an accepted request from
// being lost, or its email from being sent twice, is decided there and can be read and tested without a database:
//
//	pending ──dispatched──▶ dispatched ──claim, send──▶ sent
//	   ▲                        │   │
//	   └──── new generation ────┘   └──permanent cause──▶ failed ──requeued──▶ pending
//
// Words: a dispatch is one sending of the event, a generation numbers the dispatches that the Inngest server must
// not take for one another, a run is one execution of the function, an attempt is one try of one step.
//
// The packages:
//
//	mongostore   Store on MongoDB          storetest  conformance suite and reference Store
//	email        render and send           dispatch   pending notifications → events
//	inngest      SDK client, functions     httpapi    routes
//	config       environment               service    all of it wired together
package app
