// Package mailview shows a captured email on a page, as the dashboard and the report do: rendered at two widths and in
// two colour schemes, as plain text, its links, its headers and its source, and what the checks of package mailcheck
// found.
//
//	fragment, err := mailview.Render(message, mailview.Options{ID: "mail-1"})
//	page.Execute(w, struct{ CSS template.CSS; Email template.HTML }{mailview.CSS(), fragment})
//
// A captured email is hostile input: anybody may have written it. It is drawn in a frame without any permission
// (sandbox=""), under a policy that runs nothing and loads nothing ([Policy]), from a document that has been rebuilt
// without what could run or load ([Document]): what gets past one of the three is held by another. Its links lead
// nowhere; they are listed beside it, with where they lead to in full, for a person to open in a tab of its own.
//
// The fragment needs no script: what is shown is chosen by radio buttons, which the keyboard and screen readers know.
package mailview
