package mailcheck

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/css"
)

// A cascade knows the style rules of an email. It applies those whose selectors are made of elements, classes and ids.
type cascade struct {
	rules map[string][]rule // by one name that an element must have: ".class", "#id", "element" or "*"
	steps int               // how many more comparisons it makes: hostile sheets have rules without end
}

type rule struct {
	selector     [][]string // names that the element must have, and before them its ancestors: {"td"}, {"a", ".button"}
	weight       int        // its specificity, then its place in the sheets
	declarations []css.Declaration
}

// maxSteps bounds the comparisons of rules with the elements of one email.
const maxSteps = 300_000

func newCascade(root *html.Node) *cascade {
	c := &cascade{rules: map[string][]rule{}, steps: maxSteps}
	place := 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "style" || n.FirstChild == nil {
			continue
		}
		for _, r := range css.Rules(n.FirstChild.Data) {
			for _, s := range r.Selectors {
				place++
				if selector, specificity := parseSelector(s); selector != nil {
					last := selector[len(selector)-1]
					key := last[len(last)-1]
					c.rules[key] = append(c.rules[key], rule{selector, specificity<<32 + place, r.Declarations})
				}
			}
		}
	}
	return c
}

var (
	compound     = regexp.MustCompile(`^([a-zA-Z][\w-]*|\*)?((?:[.#][\w-]+)*)$`)
	nameInSelect = regexp.MustCompile(`[.#]?[\w-]+|\*`)
)

// parseSelector returns nil for a selector of another kind. A child counts as a descendant.
func parseSelector(s string) (selector [][]string, specificity int) {
	for part := range strings.FieldsSeq(strings.ReplaceAll(s, " > ", " ")) {
		if !compound.MatchString(part) {
			return nil, 0
		}
		names := nameInSelect.FindAllString(part, -1)
		for i, name := range names {
			switch name[0] {
			case '#':
				specificity += 1 << 16
			case '.':
				specificity += 1 << 8
			case '*':
			default:
				names[i] = strings.ToLower(name)
				specificity++
			}
		}
		selector = append(selector, names)
	}
	return selector, specificity
}

// of returns the style of an element: its properties, by the rules and by its own attribute. Nil: it has none.
func (c *cascade) of(n *html.Node) map[string]string {
	var matching []rule
	keys := append(namesOf(n), "*")
	for _, key := range keys {
		for _, r := range c.rules[key] {
			if c.steps < 0 {
				break
			}
			if c.matches(r.selector, n) {
				matching = append(matching, r)
			}
		}
	}
	slices.SortFunc(matching, func(a, b rule) int { return cmp.Compare(a.weight, b.weight) })
	if own := attr(n, "style"); own != "" {
		matching = append(matching, rule{declarations: css.Declarations(own)})
	}
	if matching == nil {
		return nil
	}
	style, important := map[string]string{}, map[string]string{}
	for _, r := range matching {
		for _, d := range r.declarations {
			if value, ok := strings.CutSuffix(d.Value, " !important"); ok {
				important[d.Property] = value
			} else {
				style[d.Property] = d.Value
			}
		}
	}
	maps.Copy(style, important)
	return style
}

func namesOf(n *html.Node) []string {
	names := []string{n.Data}
	for class := range strings.FieldsSeq(attr(n, "class")) {
		names = append(names, "."+class)
	}
	if id := attr(n, "id"); id != "" {
		names = append(names, "#"+id)
	}
	return names
}

// matches reports whether a selector selects an element.
func (c *cascade) matches(selector [][]string, n *html.Node) bool {
	last := len(selector) - 1
	if !c.has(n, selector[last]) {
		return false
	}
	for a := range n.Ancestors() {
		if last > 0 && c.has(a, selector[last-1]) {
			last--
		}
		if last == 0 || c.steps < 0 {
			break
		}
	}
	return last == 0
}

func (c *cascade) has(n *html.Node, names []string) bool {
	if c.steps--; c.steps < 0 || n.Type != html.ElementNode {
		return false
	}
	own := namesOf(n)
	return !slices.ContainsFunc(names, func(name string) bool { return name != "*" && !slices.Contains(own, name) })
}

// shown says what an element's style makes of the text in it.
type shown struct {
	hidden    bool // it and all that is in it
	invisible bool // it, and what is in it unless that says otherwise: visibility
	tiny      bool // the same: a size at which nothing can be read, or a colour that is none
}

// within returns what is shown of an element that stands in s. Preview text, which mail clients show in a list, is hidden
// in many ways; one too many here costs a finding, one too few makes a false one.
func (s shown) within(n *html.Node, style map[string]string) shown {
	switch n.Data {
	case "head", "script", "style", "template", "title", "iframe", "object", "select", "textarea":
		s.hidden = true
	}
	s.hidden = s.hidden || has(n, "hidden") || conceals(style)
	switch style["visibility"] {
	case "hidden", "collapse":
		s.invisible = true
	case "visible":
		s.invisible = false
	}
	size := style["font-size"]
	if short := style["font"]; size == "" && short != "" {
		size = fontSize.FindString(short)
	}
	if v, unit, ok := length(size); ok && !(v > 0 && (unit == "em" || unit == "%")) {
		s.tiny = v <= 2 && unit != "rem" || v == 0
	}
	if c := style["color"]; c == "transparent" {
		s.tiny = true
	}
	return s
}

func (s shown) text() bool { return !s.hidden && !s.invisible && !s.tiny }

var fontSize = regexp.MustCompile(`(?:^|\s)[\d.]+(?:px|pt|em|rem|%)?(?:/|\s)`)

// conceals reports whether a style hides an element with all that is in it.
func conceals(style map[string]string) bool {
	if style["display"] == "none" || style["mso-hide"] == "all" || isZero(style["max-height"]) {
		return true
	}
	if v, _, ok := length(style["opacity"]); ok && v < 0.05 {
		return true
	}
	if clipped := style["overflow"] == "hidden" || style["overflow-y"] == "hidden"; clipped &&
		(isZero(style["height"]) || isZero(style["width"]) || isZero(style["max-width"]) || isZero(style["line-height"])) {
		return true
	}
	for property, value := range style {
		switch {
		case property == "left", property == "top", property == "right", property == "bottom", property == "text-indent",
			strings.HasPrefix(property, "margin"):
			if offScreen.MatchString(value) {
				return true
			}
		case property == "clip" && (strings.HasPrefix(value, "rect(0") || strings.HasPrefix(value, "rect(1px")),
			property == "clip-path" && (strings.HasPrefix(value, "inset(50%") || strings.HasPrefix(value, "inset(100%")):
			return true
		}
	}
	return false
}

// offScreen is a distance that no screen has.
var offScreen = regexp.MustCompile(`(^|\s)-\d{3,}`)

func isZero(value string) bool {
	v, _, ok := length(value)
	return ok && v == 0
}

var number = regexp.MustCompile(`^\s*(-?[\d.]+)([a-z%]*)`)

// length takes a CSS length apart.
func length(value string) (v float64, unit string, ok bool) {
	m := number.FindStringSubmatch(value)
	if m == nil {
		return 0, "", false
	}
	v, err := strconv.ParseFloat(m[1], 64)
	return v, m[2], err == nil
}
