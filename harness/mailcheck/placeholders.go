package mailcheck

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// syntaxes are the placeholders of template languages and of mailing services, and what programs print in the place of a
// value that is none. No person writes them outside of code. Each has a sign by which most texts are seen to have none.
var syntaxes = []struct {
	sign    string
	pattern *regexp.Regexp
}{
	{"{{", regexp.MustCompile(`\{\{\{?[^{}]*\}?\}\}`)},                    // Handlebars, Mustache, Liquid, Jinja, Go: {{name}}
	{"{%", regexp.MustCompile(`\{%[^{}%]+%\}`)},                           // Liquid, Jinja: {% if x %}
	{"<%", regexp.MustCompile(`<%[^<>%]+%>`)},                             // ERB, EJS: <%= x %>
	{"{", regexp.MustCompile(`[$#@]\{[^{}]+\}`)},                          // JavaScript, Ruby, Thymeleaf: ${x}
	{"*|", regexp.MustCompile(`\*\|[^|*]+\|\*`)},                          // Mailchimp: *|NAME|*
	{"%%", regexp.MustCompile(`%%(?:[A-Za-z_][\w.:-]*|=[^%]*=)%%`)},       // Salesforce: %%name%%, %%=v(@name)=%%
	{"{!", regexp.MustCompile(`\{![$A-Za-z_]\w*\.[\w.]+\}`)},              // Salesforce: {!Contact.Name}
	{"[[", regexp.MustCompile(`\[\[(?:var|data):[^\[\]]+\]\]`)},           // Mailjet: [[var:name]]
	{"%", regexp.MustCompile(`%recipient\.[\w.]+%|%[A-Z]+(?:_[A-Z]+)+%`)}, // Mailgun; %FIRST_NAME%
	{"[%", regexp.MustCompile(`\[%[^%\[\]]+%\]`)},                         // Template Toolkit: [% x %]
	{"[object", regexp.MustCompile(`\[object [A-Z]\w*\]`)},                // JavaScript's text of an object
	{"<n", regexp.MustCompile(`<no value>|<nil>`)},                        // Go
	{"ZgotmplZ", regexp.MustCompile(`ZgotmplZ`)},                          // Go's html/template
	{"%!", regexp.MustCompile(`%!(?:[a-zA-Z]\([^()]*\)|\([A-Z])`)},        // Go's fmt: %!s(MISSING)

	// Ruby on Rails: Translation missing: en.greeting
	{"ranslation missing", regexp.MustCompile(`(?i)translation missing: [a-z]{2}[\w.-]*\.\w+`)},
}

// placeholder returns the first placeholder of a template language in a text, or "".
func placeholder(s string) string {
	for _, syntax := range syntaxes {
		if strings.Contains(s, syntax.sign) {
			if found := syntax.pattern.FindString(s); found != "" {
				return found
			}
		}
	}
	return ""
}

// simple is a placeholder of many programs' own making. Behind a letter or a slash it may be prose about them.
var simple = regexp.MustCompile(`(?:^|[^\w/\\{])(\{[A-Za-z_]\w{2,}(?:\.\w+)*\})`)

// greeted is a placeholder of any kind in the place of the name of whom an email greets.
var greeted = regexp.MustCompile(`(?i)^\W*(?:hi|hello|hey|dear|hallo|bonjour|hola|ciao|welcome(?: back)?|thanks|thank you)[ ,]+` +
	`(\[{1,2} ?[a-z_][\w .:-]*\]{1,2}|%[a-z_]\w*%|%s|%\(\w+\)s|%1\$s|\(null\)|\{ ?[a-z_$][\w.$|]* ?\}|<<\w+>>|«\w+»)` +
	`\s*(?:[,!.;:]|$)`)

// none are the names that programming languages give to a value that is none.
var none = regexp.MustCompile(`\b(?:undefined|NaN|null|None|nil)\b`)

// What stands around such a name if it was printed in the place of a value.
var (
	greeting = regexp.MustCompile(`(?i)^\W*(?:hi|hello|hey|dear|hallo|bonjour|hola|ciao|ol[aá]|welcome(?: back)?|` +
		`thanks|thank you|good \w+)[ ,]+(?:\w+[ ])?$`)
	afterName = regexp.MustCompile(`^\s*(?:[,!.;]|$)`)
	lead      = regexp.MustCompile(`[:=#$€£¥№]\s?$`)
	quoting   = "\"'`“”‘’„«»"
	about     = regexp.MustCompile(`(?i)^\s+(?:behaviou?rs?|variables?|functions?|methods?|values?|index|indices|references?|` +
		`symbols?|propert(?:y|ies)|terms?|types?|is|in|or|and)\b`)
	aboutIt = regexp.MustCompile(`(?i)\b(?:is|are|was|were|be|as|or|and|an|the|a|not|of|remains?|returns?|left)\s+$`)
)

// nameless is a greeting without the name of whom it greets.
var nameless = regexp.MustCompile(`(?i)^[^\w>]*(?:hi|hello|hey|dear|hallo|welcome back|good (?:morning|afternoon|evening))\s+,`)

// JavaScript's text of a date that is none, and what stands behind it in prose about dates.
var (
	noDate    = regexp.MustCompile(`\bInvalid Date(?:Time)?\b|[a-z0-9,]\s+(?:Invalid date)\b`)
	aboutDate = regexp.MustCompile(`(?i)^(?:\s+(?:formats?|ranges?|values?|errors?|exceptions?|entr(?:y|ies)|fields?|of|in|for|or|entered|given|provided|selected)\b|:)`)
)

// unfilled returns the first placeholder in a line of text that a person reads; "" if there is none.
func unfilled(line string) string {
	if found := placeholder(line); found != "" {
		return found
	}
	if found := greeted.FindStringSubmatch(line); found != nil {
		return found[1]
	}
	if strings.Contains(line, "{") {
		if found := simple.FindStringSubmatch(line); found != nil {
			return found[1]
		}
	}
	if !strings.Contains(line, "Invalid") {
	} else if at := noDate.FindStringIndex(line); at != nil && !quoted(line[:at[0]], line[at[1]:]) && !aboutDate.MatchString(line[at[1]:]) {
		return line[strings.LastIndex(line[:at[1]], "Invalid"):at[1]]
	}
	if !strings.Contains(line, "undefined") && !strings.Contains(line, "NaN") && !strings.Contains(line, "null") &&
		!strings.Contains(line, "None") && !strings.Contains(line, "nil") {
		return ""
	}
	for _, at := range none.FindAllStringIndex(line, 20) {
		before, name, after := line[:at[0]], line[at[0]:at[1]], line[at[1]:]
		const near = 60 // bytes that are looked at on either side
		if len(before) > near {
			before = "x" + before[len(before)-near:] // the line began with something else
		}
		after = after[:min(near, len(after))]
		switch {
		case quoted(before, after), about.MatchString(after):
			continue
		case greeting.MatchString(before) && afterName.MatchString(after):
			return name
		case name == "None" || name == "nil":
			continue // words of English
		case strings.Trim(before+after, " \t.,;:!?-–()*_|") == "":
			return name // nothing else stands in its place
		case lead.MatchString(before) && (name != "null" || afterName.MatchString(after)),
			strings.HasPrefix(after, " "+name), strings.HasPrefix(after, "%"):
			return name
		case name == "null": // a word of German, and of lawyers
			continue
		case !aboutIt.MatchString(before):
			return name
		}
	}
	return ""
}

func quoted(before, after string) bool {
	last, first := []rune(before), []rune(after)
	return len(last) > 0 && strings.ContainsRune(quoting, last[len(last)-1]) ||
		len(first) > 0 && strings.ContainsRune(quoting, first[0])
}

// placeholders lists what a template or a program has left in the place of a value. Those in links are [links]' to find.
func placeholders(m *harness.Message, p *page) []string {
	var found []string
	code := p.code.String()
	look := func(where, line string) {
		if nameless.MatchString(line) {
			found = append(found, fmt.Sprintf("%s greets without a name: %s", where, quote(line)))
			return
		}
		name := unfilled(line)
		if name == "" || strings.Contains(code, name) {
			return
		}
		what := fmt.Sprintf("%s has %s in the place of a value", where, quote(name))
		if line != name {
			what += ": " + quote(line)
		}
		found = append(found, what)
	}
	look("the subject", m.Subject)
	for _, list := range []struct {
		name      string
		addresses []*mail.Address
	}{{"From", m.From}, {"To", m.To}, {"Cc", m.Cc}, {"Reply-To", m.ReplyTo}} {
		for _, a := range list.addresses {
			look("the name in "+list.name, a.Name)
		}
	}
	for _, line := range p.prose {
		look("the HTML", line)
	}
	for _, n := range p.elements {
		for _, name := range []string{"alt", "title"} {
			if has(n, name) {
				look(fmt.Sprintf("the %s text of <%s>", name, n.Data), attr(n, name))
			}
		}
	}
	for line := range strings.Lines(m.Text) {
		look("the text", strings.TrimSpace(line))
	}
	for _, part := range m.Files() {
		look("the name of an attachment", part.Name)
	}
	return found
}

// unfilledURL returns the placeholder, or the name of no value, that stands in a URL. shown returns what a person reads
// of a link.
func unfilledURL(link string, shown func() string) string {
	forms := []string{link}
	for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		if decoded, err := decode(link); err == nil && !slices.Contains(forms, decoded) {
			forms = append(forms, decoded)
		}
	}
	for _, form := range forms {
		if found := placeholder(form); found != "" {
			return found
		}
		if found := simpleInURL.FindString(form); found != "" {
			return found
		}
		for _, pattern := range noneInURL {
			for _, found := range pattern.FindAllStringSubmatch(form, -1) {
				// A page about undefined may be called so, and a person may be called Null.
				if name := found[1]; !strings.Contains(strings.ToLower(shown()), strings.ToLower(name)) {
					return name
				}
			}
		}
	}
	return ""
}

var (
	simpleInURL = regexp.MustCompile(`\{[A-Za-z_][\w.]*\}`)
	// A whole host, piece of the path, value of the query, or recipient and its domain; the first name of a host that has
	// three; a file.
	noneInURL = []*regexp.Regexp{
		regexp.MustCompile(`(?:[/=:#,]|^)(undefined|null|NaN|None)(?:[/?&#;:,@]|$)`),
		regexp.MustCompile(`mailto:[^?]*@(undefined|null|NaN|None)(?:[?,;]|$)`),
		regexp.MustCompile(`//(undefined|NaN)\.[^/?#.]+\.`),
		regexp.MustCompile(`[^/]/(undefined|NaN)\.[a-z0-9]{2,5}(?:[?#]|$)`),
	}
)
