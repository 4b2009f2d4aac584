package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unknownCommand is the error for a word that is no command below cmd; it names the nearest one.
func unknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
		if slices.Contains(c.SuggestFor, word) {
			return usagef("there is no command %q: did you mean `%s`?", word, c.CommandPath())
		}
	}
	if near := nearest(word, names); near != "" {
		return usagef("there is no command %q: did you mean `%s %s`?", word, cmd.CommandPath(), near)
	}
	return usagef("there is no command %q: `%s --help` lists them", word, cmd.CommandPath())
}

// flagError makes a usage error of one of the flag parser's; of an unknown flag, with the nearest one.
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
	collect := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.Flags().VisitAll(collect)
	cmd.InheritedFlags().VisitAll(collect)
	dashes := "--"
	if len(word) == 1 {
		dashes = "-"
	}
	text := fmt.Sprintf("%s has no flag %s%s", cmd.CommandPath(), dashes, word)
	if near := nearest(word, names); near != "" && len(word) > 1 {
		return usagef("%s: did you mean --%s?", text, near)
	}
	return usagef("%s: `%s --help` lists them", text, cmd.CommandPath())
}

// oneOf refuses a flag's value that is not among the known ones; it names the nearest.
func oneOf(flag, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	text := fmt.Sprintf("--%s %q: it is one of %s", flag, value, strings.Join(known, ", "))
	if near := nearest(value, known); near != "" {
		text += fmt.Sprintf("; did you mean %s?", near)
	}
	return usagef("%s", text)
}

// nearest returns the name that a mistyped word most likely stands for, or "".
func nearest(word string, names []string) string {
	best, distance := "", len(word)/3+2 // a third of the letters may be wrong, and at least one
	for _, name := range names {
		d := edits(strings.ToLower(word), name)
		if len(word) > 1 && strings.HasPrefix(name, word) {
			d = 1
		}
		if d < distance {
			best, distance = name, d
		}
	}
	return best
}

// edits is the number of letters to insert, remove, replace or swap with their neighbour to make b of a.
func edits(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := slices.Clone(row)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before = last
	}
	return row[len(b)]
}
