// Package mongostore is the app.Store on MongoDB. It also works on FerretDB v1, the local stand-in, and therefore uses no
// $lookup, transactions, change streams, partial indexes or pipeline updates. One index is a TTL index, by which MongoDB deletes
// expired reservations; where it is not supported they stay, and count as expired.
//
// The collections are users, equipment and requests, whose _id is an ObjectID, and reservations, whose _id is the idempotency key. The document of a request contains its
// notification, so one atomic insert creates both, and each later change is one update that compares the notification's
// version. The frequent reads use an index: by _id, by notification.state for lists, and by notification.nextDispatchAt, which only unfinished
// notifications have.
package mongostore
