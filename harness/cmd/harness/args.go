package main

import (
	"context"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef("`%s` takes no arguments, but was given %s; see `%s --help`", cmd.CommandPath(), strings.Join(args, " "), cmd.CommandPath())
}

// subcommandArgs is for a command that only has subcommands: an argument is none of them.
func subcommandArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}

// between requires a number of arguments. what describes them in the error.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if least <= len(args) && len(args) <= most {
			return nil
		}
		verb := "takes"
		if least > 0 {
			verb = "needs"
		}
		return usagef("`%s` %s %s and was given %d arguments; see `%s --help`", cmd.CommandPath(), verb, what, len(args), cmd.CommandPath())
	}
}

// noEmptyFlags refuses a flag of one text that is given an empty one, as by a variable that is not set: without a flag, a command concerns all.
func noEmptyFlags(cmd *cobra.Command, _ []string) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" {
			err = usagef("--%s is empty: leave it out, or say what it is", f.Name)
		}
	})
	return err
}

// anyNumber is the most arguments of a command that sets no limit.
const anyNumber = math.MaxInt

// mailHogID matches a message id of MailHog that begins with a dash, as one in 64 does.
var mailHogID = regexp.MustCompile(`^-[A-Za-z0-9_-]{42}=@`)

// sparingIDs moves message ids that look like flags behind --.
func sparingIDs(args []string) []string {
	ids := slices.DeleteFunc(slices.Clone(args), func(a string) bool { return !mailHogID.MatchString(a) })
	if len(ids) == 0 || args[0] != "mail" || slices.Contains(args, "--") {
		return args
	}
	others := slices.DeleteFunc(slices.Clone(args), mailHogID.MatchString)
	return slices.Concat(others, []string{"--"}, ids)
}

// completeFlag makes the shell offer the values of a flag.
func completeFlag(cmd *cobra.Command, flag string, values ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// completeFiles makes the shell offer files of a kind.
func completeFiles(extension string) cobra.CompletionFunc {
	return cobra.FixedCompletions([]string{extension}, cobra.ShellCompDirectiveFilterFileExt)
}

// must panics on errors that only a mistake in this program causes.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// completeIDs makes the shell offer the ids that list returns from the stack that is up here, for a command with one
// argument.
func (io stdio) completeIDs(needed []harness.Service, list func(context.Context, client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		directive := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		if len(args) > 0 {
			return nil, directive
		}
		c, err := io.connect(cmd.Context(), needed, "")
		if err != nil {
			return nil, directive
		}
		defer c.close()
		ids, _ := list(cmd.Context(), c) // without ids there is nothing to offer
		return ids, directive
	}
}

// completions is how many ids the shell offers.
const completions = 10
