package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
	"github.com/odoo-maintenance/inngest-harness/harness/internal/toolchain"
)

var allTools = []toolchain.Tool{toolchain.Mongo, toolchain.MailHog, toolchain.Inngest}

func toolsCommand(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tools",
		Short: "Build the servers, or say where they are",
		Long: `tools manages the servers that the local backend runs: MailHog, the Inngest dev server, and
FerretDB, which stands in for MongoDB. They are built once, from pinned versions, into a cache.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:     "build",
			Short:   "Build what is not built yet",
			Long:    "build builds the servers that are not in the cache yet. The Inngest server takes some minutes.",
			Example: "  harness tools build",
			Args:    usageArgs(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error {
				p := newPrinter(io.err)
				for _, t := range allTools {
					bin, err := toolchain.Ensure(cmd.Context(), t, toolchain.Options{Progress: func(n toolchain.Progress) {
						p.progress(harness.Progress{Subject: string(n.Tool), Doing: n.Doing, Elapsed: n.Elapsed, Done: n.Done})
					}})
					if err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%-8s %s (%s)\n", t, bin.Version, bin.Source)
				}
				return nil
			},
		},
		&cobra.Command{
			Use:     "path [TOOL…]",
			Short:   "Print where the servers' programs are",
			Long:    "path prints the path of each program, without building any. It exits with 1 when one is not there yet.",
			Example: "  harness tools path inngest",
			Args:    cobra.ArbitraryArgs,
			RunE: func(cmd *cobra.Command, args []string) error {
				tools := allTools
				if len(args) > 0 {
					tools = nil
				}
				for _, a := range args {
					tools = append(tools, toolchain.Tool(a))
				}
				var missing []error
				for _, t := range tools {
					bin, err := toolchain.Find(cmd.Context(), t, toolchain.Options{})
					if err != nil {
						missing = append(missing, err)
						continue
					}
					fmt.Fprintln(cmd.OutOrStdout(), bin.Path)
				}
				return errors.Join(missing...)
			},
		},
	)
	return cmd
}

// elapsed prints a duration as a person counts it.
func elapsed(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
