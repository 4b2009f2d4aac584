// Package planted has small Inngest apps with one defect each, of the kinds that teams have, and for each of them a twin
// without it. What explores apps must find every defect, and find nothing in a twin: [Apps] lists them.
//
// An app and its twin are one function with a parameter, so that a reader sees what makes the difference. A twin is right
// whatever happens to its calls, its checkpoints, its events and its emails, and when it is killed:
//
//   - an email is sent in a step, through [shop.once], which remembers in the store what has been sent, and lets one
//     attempt at a time do it;
//   - a Message-ID and the id of an event are made from the data of the event;
//   - what two runs, or two attempts of one step, could do at once to the store is one [store.update].
//
// A permanent refusal of the mail server fails the run.
package planted
