// Package mailview shows a captured email on a page: rendered at two widths and in two colour schemes, as plain text, its
// links, its headers and its source, and what the checks of package mailcheck found. The dashboard shows emails with
// [Render]; the report shows the parts of an email itself, drawn by [Document].
//
//	fragment, err := mailview.Render(message, mailview.Options{ID: "mail-1"})
//	page.Execute(w, struct{ CSS template.CSS; Email template.HTML }{mailview.CSS(), fragment})
//
// A captured email is untrusted input. It is drawn in a frame without any permission (sandbox=""), under a policy that
// runs nothing and loads nothing ([Policy]), from a document that has been rebuilt without what could run or load
// ([Document]). Its links lead nowhere. They are listed beside it with their full targets, for a user to open in a tab.
//
// The fragment needs no script: what is shown is chosen by radio buttons, which the keyboard and screen readers know.
package mailview
