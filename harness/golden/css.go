package golden

import (
	"maps"
	"slices"
	"strings"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/css"
)

// canonicalStyle writes the content of a style attribute in one spelling and, where the order of declarations means
// nothing, in alphabetical order.
func canonicalStyle(style string) string {
	var parts []string
	for _, d := range sorted(css.Declarations(style)) {
		parts = append(parts, d.String())
	}
	return strings.Join(parts, "; ")
}

// sorted sorts declarations by property but keeps the order of those of which a later one overrides an earlier one.
func sorted(list []css.Declaration) []css.Declaration {
	families := map[string][]css.Declaration{}
	for _, d := range list {
		if d.Property == "all" {
			return list
		}
		families[family(d.Property)] = append(families[family(d.Property)], d)
	}
	var all []css.Declaration
	for _, name := range slices.Sorted(maps.Keys(families)) {
		members := families[name]
		if !overriding(members) {
			slices.SortFunc(members, func(a, b css.Declaration) int { return strings.Compare(a.Property, b.Property) })
		}
		all = append(all, members...)
	}
	return all
}

// family names the shorthand that a property may belong to.
func family(property string) string {
	if property == "line-height" {
		return "font"
	}
	name, _, _ := strings.Cut(strings.TrimLeft(property, "-"), "-")
	return name
}

// overriding reports whether the order of a family's declarations may matter: a property stands twice or beside its
// shorthand, or in the one family (border) whose shorthands overlap each other.
func overriding(members []css.Declaration) bool {
	for i, a := range members {
		for _, b := range members[i+1:] {
			if a.Property == b.Property || strings.HasPrefix(a.Property, b.Property+"-") || strings.HasPrefix(b.Property, a.Property+"-") ||
				family(a.Property) == "border" || a.Property == "font" || b.Property == "font" {
				return true
			}
		}
	}
	return false
}
