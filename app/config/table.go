package config

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Variable documents one environment variable.
type Variable struct {
	Name string
	Doc  string
	// Development and Production are the defaults in each mode, "required" or empty.
	Development, Production string
}

const required = "required"

// Table returns every variable that the app reads, grouped by topic.
func Table() []Variable {
	var table []Variable
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		both := f.Tag.Get("default")
		table = append(table, Variable{
			Name:        f.Tag.Get("env"),
			Doc:         f.Tag.Get("doc"),
			Development: both + f.Tag.Get("dev"),
			Production:  both + f.Tag.Get("prod"),
		})
	}
	return table
}

// Usage returns the table as text for a terminal.
func Usage() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, v := range Table() {
		fmt.Fprintf(w, "  %s\t%s%s\n", v.Name, v.Doc, v.defaults())
	}
	w.Flush() // writes to memory, so it cannot fail
	return text.String()
}

func (v Variable) defaults() string {
	switch {
	case v.Development == v.Production && v.Production != "":
		return fmt.Sprintf(" [%s]", v.Production)
	case v.Development == "" && v.Production == "":
		return ""
	case v.Development == "":
		return fmt.Sprintf(" [production: %s]", v.Production)
	}
	return fmt.Sprintf(" [development: %s; production: %s]", v.Development, v.Production)
}

// variableOf returns the variable of a field of Config.
func variableOf(field string) string {
	f, _ := reflect.TypeFor[Config]().FieldByName(field)
	return f.Tag.Get("env")
}
