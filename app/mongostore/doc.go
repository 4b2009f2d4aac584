// Package mongostore is the app.Store on MongoDB. It also works on FerretDB v1, the local stand-in, so it uses nothing
// that FerretDB lacks: no $lookup, no transactions, no change streams, no partial or TTL indexes, no pipeline updates.
//
// Collections: users, equipment, requests; every _id is an ObjectID. A request's document holds its notification, so
// that creating both is one atomic insert, and every later change is one update that compares the notification's
// version. Two reads are frequent and both go by an index: by _id, and by notification.nextDispatchAt, a field that
// only unfinished notifications have.
package mongostore
