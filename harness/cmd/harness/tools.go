package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

func toolsCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tools",
		Short: "build the servers, or say where they are",
		Long: `tools manages the servers that the local backend runs: MailHog, the Inngest dev server, and FerretDB, which
stands in for MongoDB. They are built once, from pinned versions, into a cache, and so is page, the web page of
Inngest, where Node and npm are there.`,
		Example: `  harness tools build
  harness tools path inngest`,
		Args: subcommandArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(toolsBuildCommand(io), toolsPathCommand(io))
	return cmd
}

func toolsBuildCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "build [TOOL…]",
		Short: "build what is not built yet",
		Long: `build builds what is not in the cache yet: what a stack has, or what is named of
` + strings.Join(toolNames(), ", ") + `.
The Inngest server and its page take some minutes. Unless it is named, the page is left out where
Node or npm is missing. Mailpit is for 'harness up --mail mailpit', and is
built when it is named.`,
		Example: `  harness tools build
  harness tools build page
  harness tools build mailhog --json`,
		Args: toolArgs,
	}
	asJSON := jsonFlag(cmd, "print what there is then as a JSON array")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p := newPrinter(io)
		var all []toolchain.Binary
		for _, t := range chosenTools(args, append(toolchain.Tools(), toolchain.Page)) {
			bin, err := toolchain.Ensure(cmd.Context(), t, toolchain.Options{Progress: p.progress})
			if len(args) == 0 && errors.Is(err, toolchain.ErrNoNode) {
				p.say(string(t), "%s", firstLine(err.Error()))
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, bin)
			if !*asJSON {
				fmt.Fprintf(io.out, "%-8s %s\n", t, describeTool(bin))
			}
		}
		if *asJSON {
			return writeJSON(io.out, all)
		}
		return nil
	}
	cmd.ValidArgsFunction = completeTools
	return cmd
}

func toolsPathCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "path [TOOL…]",
		Short: "print where the servers' programs are",
		Long: "path prints the path of the program of each server of a stack, or of what is named of\n" +
			strings.Join(toolNames(), ", ") + ".\nThe path of page is a directory. It builds nothing.",
		Example:     "  harness tools path\n  harness tools path inngest",
		Annotations: exitStatus("0  all are there\n1  one is not there yet\n2  the command line was wrong"),
		Args:        toolArgs,
	}
	asJSON := jsonFlag(cmd, "print them as a JSON array")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		found := []toolchain.Binary{}
		var missing []error
		for _, t := range chosenTools(args, toolchain.Tools()) {
			bin, err := toolchain.Find(cmd.Context(), t, toolchain.Options{})
			if err != nil {
				missing = append(missing, err)
				continue
			}
			found = append(found, bin)
			if !*asJSON {
				fmt.Fprintln(io.out, bin.Path)
			}
		}
		if *asJSON {
			missing = append(missing, writeJSON(io.out, found))
		}
		return errors.Join(missing...)
	}
	cmd.ValidArgsFunction = completeTools
	return cmd
}

// describeTool names a program by its version and source.
func describeTool(b toolchain.Binary) string {
	return fmt.Sprintf("%s (%s)", cmp.Or(b.Database, b.Version), b.Source)
}

func toolNames() []string {
	var names []string
	for _, t := range append(toolchain.Tools(), toolchain.Page, toolchain.Mailpit) {
		names = append(names, string(t))
	}
	return names
}

// chosenTools returns the tools that are named, or all where none is.
func chosenTools(args []string, all []harness.Service) []harness.Service {
	if len(args) == 0 {
		return all
	}
	var tools []harness.Service
	for _, a := range args {
		tools = append(tools, harness.Service(a))
	}
	return tools
}

func toolArgs(_ *cobra.Command, args []string) error {
	for _, a := range args {
		if err := oneOf(fmt.Sprintf("there is no tool %q", a), a, toolNames()); err != nil {
			return err
		}
	}
	return nil
}

func completeTools(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	left := slices.DeleteFunc(toolNames(), func(n string) bool { return slices.Contains(args, n) })
	return left, cobra.ShellCompDirectiveNoFileComp
}
