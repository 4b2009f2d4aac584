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
	// Secret: the value may also be in a file, which the variable File names.
	Secret bool
}

// File returns the name of the variable that holds the path of a file with the secret, or "" for what is no secret. The
// last line end of the file does not count. It is an error to set both variables.
func (v Variable) File() string {
	if !v.Secret {
		return ""
	}
	return v.Name + "_FILE"
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
			Secret:      f.Tag.Get("secret") != "",
		})
	}
	return table
}

// Usage returns the table as text for a terminal.
func Usage() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, v := range Table() {
		doc := v.Doc
		if v.Secret {
			doc += " Or " + v.File() + ": a file that holds it."
		}
		fmt.Fprintf(w, "  %s\t%s%s\n", v.Name, doc, v.defaults())
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
	case v.Production == "":
		return fmt.Sprintf(" [development: %s]", v.Development)
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
