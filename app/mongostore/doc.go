// Package mongostore is the app.Store on MongoDB. It also works on FerretDB v1, the local stand-in, and therefore uses no
// $lookup, transactions, change streams, partial or TTL indexes or pipeline updates.
//
// The collections are users, equipment and requests; every _id is an ObjectID. The document of a request contains its
// notification, so one atomic insert creates both, and each later change is one update that compares the notification's
// version. Both frequent reads use an index: by _id, and by notification.nextDispatchAt, which only unfinished
// notifications have.
package mongostore
