package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unknownCommand returns the error for a word that is no command below cmd. It names a similar command.
func unknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if slices.Contains(c.SuggestFor, word) {
			return usagef("there is no command %q: did you mean `%s`?", word, c.CommandPath())
		}
		names = append(names, c.Name())
	}
	if near := similar(word, names); near != "" {
		return usagef("there is no command %q: did you mean `%s %s`?", word, cmd.CommandPath(), near)
	}
	return usagef("there is no command %q: `%s --help` lists them", word, cmd.CommandPath())
}

// flagError turns an error of the flag parser into a usage error. For an unknown flag it names a similar one.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usagef("%w; see `%s --help`", err, cmd.CommandPath())
	}
	word := unknown.GetSpecifiedName()
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		word = short // as in -watch, which is meant to be --watch
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	dashes := "--"
	if len(word) == 1 {
		dashes = "-"
	}
	text := fmt.Sprintf("%s has no flag %s%s", cmd.CommandPath(), dashes, word)
	if near := similar(word, names); near != "" && len(word) > 1 {
		return usagef("%s: did you mean --%s?", text, near)
	}
	return usagef("%s: `%s --help` lists them", text, cmd.CommandPath())
}

// oneOf returns an error unless value is among the known ones. what names it in the error.
func oneOf(what, value string, known []string) error {
	if slices.Contains(known, value) {
		return nil
	}
	text := fmt.Sprintf("%s: it is one of %s", what, strings.Join(known, ", "))
	if near := similar(value, known); near != "" {
		text += fmt.Sprintf("; did you mean %s?", near)
	}
	return usagef("%s", text)
}

// similar returns a name that a mistyped word may stand for, by cobra's rule for the names of commands; "" for none.
func similar(word string, names []string) string {
	if word == "" {
		return ""
	}
	var parent cobra.Command
	for _, name := range names {
		parent.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	for parent.SuggestionsMinimumDistance = range 3 {
		if found := parent.SuggestionsFor(word); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}
