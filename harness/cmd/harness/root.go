package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness"
)

// Exit statuses, the same for every command.
const (
	exitOK     = 0
	exitFailed = 1 // it was tried and did not work, or the answer is no
	exitUsage  = 2 // the question was wrong
)

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// terminal says whether w is a terminal that wants movement and colour.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb"
}

// usageError is a mistake in how a command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run runs one command line and returns the exit status.
func run(ctx context.Context, args []string, io stdio) int {
	root := newRoot(io)
	root.SetArgs(args)
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var quiet quietError
	if errors.As(err, &quiet) {
		return int(quiet)
	}
	fmt.Fprintf(io.err, "harness: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// quietError ends the program with a status and without a further word.
type quietError int

func (e quietError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func newRoot(io stdio) *cobra.Command {
	root := &cobra.Command{
		Use:   "harness",
		Short: "Run an Inngest app against real servers, and see what it does",
		Long: `harness starts MongoDB, MailHog and the Inngest dev server, runs your app against
them, and says what to open. The app is any program, in any language, that serves
Inngest functions over HTTP on the port named in PORT.

Exit status: 0 it worked; 1 it did not; 2 the command line was wrong.`,
		Example: `  harness up -- npm run dev
  harness up --ports free --watch src -- python -m app
  harness status --json`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see `%s --help`", err, cmd.CommandPath())
	})
	root.AddCommand(upCommand(io), statusCommand(), downCommand(), envCommand(), toolsCommand(io), doctorCommand())
	return root
}

// usageArgs makes a wrong number of arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%w; see `%s --help`", err, cmd.CommandPath())
		}
		return nil
	}
}

// findState returns the stack that is up here.
func findState() (harness.State, string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return harness.State{}, "", fmt.Errorf("find the working directory: %w", err)
	}
	return harness.FindState(dir)
}
