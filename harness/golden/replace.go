package golden

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// Replacement puts a name in the place of a value that differs from run to run. It is applied to every part of an email,
// to what a reader sees: in HTML to text and attribute values, however they are escaped there, and to the bytes of attached
// files, as in a calendar's DTSTAMP. A value that tags divide is not found, nor one that a file holds compressed.
//
// Exactly one of Old and Pattern must be set.
type Replacement struct {
	Old     string         `json:"old"`     // the value; where it stands in a link it is also found URL-encoded
	Pattern *regexp.Regexp `json:"pattern"` // every match of it
	New     string         `json:"new"`     // what takes its place, such as {{request-id}}; with Pattern it may hold $1
}

// replacer applies replacements in order.
type replacer []func(string) string

// newReplacer returns a replacer for list, or says which of them cannot work.
func newReplacer(list []Replacement) (replacer, error) {
	var names []string
	for _, item := range list {
		if strings.Contains(item.New, "{{") && (item.Pattern == nil || !strings.Contains(item.New, "$")) {
			names = append(names, item.New, item.New+" (as it stands in the email)")
		}
	}
	// A name that an email has by itself is of a template that was not filled in.
	r := replacer{strings.NewReplacer(names...).Replace}
	for _, item := range list {
		switch {
		case item.Old != "" && item.Pattern != nil:
			return nil, fmt.Errorf("the replacement by %q has both Old and Pattern: set one of them", item.New)
		case item.Pattern != nil:
			r = append(r, func(s string) string { return item.Pattern.ReplaceAllString(s, item.New) })
		case item.Old != "":
			r = append(r, literal(item.Old, item.New))
		default:
			return nil, fmt.Errorf("the replacement by %q has no value to replace: was it known yet when the comparison was made?", item.New)
		}
	}
	return r, nil
}

// literal replaces old as it is and as it stands in the path or the query of a URL.
func literal(old, name string) func(string) string {
	forms := []string{old}
	for _, form := range []string{url.QueryEscape(old), url.PathEscape(old)} {
		for _, form := range []string{form, percentCode.ReplaceAllStringFunc(form, strings.ToLower)} {
			if !slices.Contains(forms, form) {
				forms = append(forms, form)
			}
		}
	}
	var pairs []string
	for _, form := range forms {
		pairs = append(pairs, form, name)
	}
	return strings.NewReplacer(pairs...).Replace
}

var percentCode = regexp.MustCompile(`%[0-9A-F]{2}`)

// maskSecrets is applied to every email after the caller's replacements. What is named already, in double braces, stays.
func maskSecrets(s string) string {
	s = secretParameter.ReplaceAllString(s, "${1}{{secret}}")
	s = bearerToken.ReplaceAllString(s, "${1}{{secret}}")
	return signingKey.ReplaceAllLiteralString(s, "{{secret}}")
}

var (
	secretParameter = regexp.MustCompile(`(?i)([?&;#][a-z0-9_.-]*(?:sig|signature|token|secret|password|passwd|api[_-]?key)=)[^&;#\s"'<>{}]+`)
	bearerToken     = regexp.MustCompile(`(?i)(\bbearer\s+)[a-z0-9._~+/=-]{8,}`)
	signingKey      = regexp.MustCompile(`\bsignkey-[a-z]+-[0-9A-Fa-f]+`)
)

// runID recognises the ids that Inngest gives to runs (ULIDs). Anything shorter would be found in unrelated text.
var runID = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`)

// runReplacement replaces the id of the run that sent an email, as its header names it.
func runReplacement(m *harness.Message, header string) []Replacement {
	if run := m.Header(header); runID.MatchString(run) {
		return []Replacement{{Old: run, New: "{{run-id}}"}}
	}
	return nil
}

// idReplacements replaces the Content-IDs that a mail library has made up, such as a UUID or a hash: they are new in every
// email. Others, such as logo@shop.test, stay.
func idReplacements(m *harness.Message) []Replacement {
	var all []Replacement
	for i, part := range m.Files() {
		if madeUp(part.ContentID) {
			all = append(all, Replacement{Old: part.ContentID, New: fmt.Sprintf("{{content-id-%d}}", i+1)})
		}
	}
	return all
}

// madeUp reports whether an id has eight hexadecimal digits in sequence that are neither a word nor a number that a person
// may have chosen, such as a date or the number of an article.
func madeUp(id string) bool {
	return slices.ContainsFunc(hexDigits.FindAllString(id, -1), func(s string) bool {
		number := strings.Trim(s, "0123456789") == ""
		return strings.ContainsAny(s, "0123456789") && (!number || len(s) >= 12)
	})
}

var hexDigits = regexp.MustCompile(`[0-9A-Fa-f]{8,}`)

// text applies the replacements to plain text.
func (r replacer) text(s string) string {
	for _, replace := range r {
		s = replace(s)
	}
	return maskSecrets(s)
}

// html applies the replacements to the text and the attribute values of an HTML document. The rest of it stays as it is,
// byte for byte.
func (r replacer) html(doc string) string {
	return r.markup(doc, true)
}

func (r replacer) markup(doc string, outer bool) string {
	var b strings.Builder
	rest := doc
	literal := false // inside an element, such as style, whose content holds no entities
	tokens := html.NewTokenizer(strings.NewReader(doc))
	for {
		kind := tokens.Next()
		raw := string(tokens.Raw())
		if kind == html.ErrorToken {
			break
		}
		rest = strings.TrimPrefix(rest, raw)
		token := tokens.Token()
		switch kind {
		case html.TextToken:
			if literal {
				raw = r.text(raw)
			} else if replaced := r.text(token.Data); replaced != token.Data {
				raw = html.EscapeString(replaced)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			if r.attributes(token.Attr) {
				raw = token.String()
			}
		case html.CommentToken:
			// What a conditional comment holds is markup, for the mail clients that read it.
			inside, ok := strings.CutPrefix(raw, "<!--")
			if inside, closed := strings.CutSuffix(inside, "-->"); ok && closed && outer {
				raw = "<!--" + r.markup(inside, false) + "-->"
			} else {
				raw = r.text(raw)
			}
		}
		literal = kind != html.EndTagToken && literalElements[token.Data]
		if token.Data == "noscript" { // what mail clients show, since they run no scripts
			tokens.NextIsNotRawText()
		}
		b.WriteString(raw)
	}
	return b.String() + rest
}

// attributes applies the replacements to values in place and reports whether any changed.
func (r replacer) attributes(attrs []html.Attribute) (changed bool) {
	for i, attr := range attrs {
		if value := r.text(attr.Val); value != attr.Val {
			attrs[i].Val, changed = value, true
		}
	}
	return changed
}

// literalElements are those whose content is taken as it stands, without tags or entities.
var literalElements = elements("iframe noembed noframes plaintext script style xmp")
