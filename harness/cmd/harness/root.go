package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/odoo-maintenance/inngest-harness/harness/internal/statefile"
)

// Exit statuses of every command but expect, which distinguishes more.
const (
	exitOK     = 0
	exitFailed = 1   // it did not work, or the answer is no
	exitUsage  = 2   // the command line was wrong
	exitKilled = 130 // ended by a second interrupt, or because the end took too long
)

// stdio holds the streams and the environment of a command.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	stack    *string // the value of --stack; newRoot sets it
}

// exitError ends the program with a status. Without an error in it nothing is printed.
type exitError struct {
	status int
	err    error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// usagef returns the error for a wrong command line.
func usagef(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}

// run runs one command line and returns the exit status.
func run(ctx context.Context, args []string, io stdio) int {
	root := newRoot(io)
	root.SetArgs(sparingIDs(args))
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	status := exitFailed
	var exit exitError
	if errors.As(err, &exit) {
		status = exit.status
		err = exit.err
	}
	if err != nil {
		fmt.Fprintf(io.err, "%s %s\n", io.paint(io.err).red("harness:"), safe(err.Error()))
	}
	return status
}

// The groups of commands in the help of the program.
const (
	groupStack  = "stack"
	groupEvents = "events"
	groupTools  = "tools"
)

func newRoot(io stdio) *cobra.Command {
	io.stack = new(string)
	root := &cobra.Command{
		Use:   "harness COMMAND",
		Short: "run an Inngest app against real servers, and judge what it does",
		Long: `harness starts MongoDB, MailHog and the Inngest dev server, runs your app against them, and says
what to open. The app is any program, in any language, that serves Inngest functions over HTTP on
the port named in its environment variable PORT.

While a stack is up, the other commands work on it from any terminal in the same directory or below, or
from anywhere with --stack: they send events, show runs and emails, and judge whether what should have
happened did.`,
		Example: `  harness up -- npm run dev                          # Ctrl-C stops everything
  harness up --ports free --watch src -- python -m app
  harness send event.json                            # from another terminal
  harness expect --send event.json expectation.json  # 0 it holds, 1 it does not, 2 it cannot be judged
  harness mail show                                  # the latest email
  source <(harness completion bash)`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          subcommandArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		PersistentPreRunE: noEmptyFlags,
		Annotations: map[string]string{
			"Exit status": `0    it worked; the answer is yes
1    it did not work; the answer is no
2    the command line was wrong; for expect, also: it could not be judged
130  ended by a second interrupt, or because a graceful stop took too long`,
			"Environment": `INNGEST_BIN, MAILHOG_BIN, MAILPIT_BIN, MONGOD_BIN   programs to run instead of those in the cache
HARNESS_CACHE                          where servers are built; default: inngest-harness in your cache
HARNESS_STACK                          the directory of the stack to work on, as --stack names it
HARNESS_PAGE                           off: up does not build Inngest's own page, which it does in the background
HARNESS_INNGEST_URL, HARNESS_MAIL_URL, HARNESS_SMTP_ADDR, HARNESS_MONGO_URI
                                       servers to work on instead of those of the stack that is up here: those that a
                                       command uses; the mailbox is a MailHog, a Mailpit, or imaps://USER:PASSWORD@HOST
INNGEST_EVENT_KEY, INNGEST_SIGNING_KEY
                                       keys of the server in HARNESS_INNGEST_URL, where it is one in production mode
HARNESS_COMPOSE_PROJECT                the same, by the name of a compose project
HARNESS_IMAGE_MONGO, HARNESS_IMAGE_MAILHOG, HARNESS_IMAGE_MAILPIT, HARNESS_IMAGE_INNGEST
                                       images for the containers backend
NO_COLOR                               any value: no colour, on a terminal too`,
			"Files": `.harness/stack.json   where everything is, while a stack is up in this directory, or in the one that --stack names
.harness/run/*.log    the logs of the servers and of the app; kept until the next up`,
			"Topics of harness help": topicList(),
		},
	}
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { manual(cmd.OutOrStdout(), cmd) })
	root.AddGroup(
		&cobra.Group{ID: groupStack, Title: "The stack"},
		&cobra.Group{ID: groupEvents, Title: "Events and emails, on a stack that is up or a deployment"},
		&cobra.Group{ID: groupTools, Title: "The tools"},
	)
	root.SetHelpCommand(helpCommand(io))
	root.SetHelpCommandGroupID(groupTools)
	root.SetCompletionCommandGroupID(groupTools)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupStack, upCommand(io), statusCommand(io), envCommand(io), downCommand(io))
	add(groupEvents, smokeCommand(io), probeCommand(io), expectCommand(io), exploreCommand(io), sendCommand(io), invokeCommand(io), runsCommand(io), skipCommand(io), replaceCommand(io), faultCommand(io), mailCommand(io), reportCommand(io))
	add(groupTools, toolsCommand(io), doctorCommand(io), schemaCommand(io), versionCommand(io))
	for _, c := range root.Commands() {
		if !slices.Contains([]string{"probe", "explore", "report", "tools", "version"}, c.Name()) {
			io.stackFlag(c)
		}
	}
	describeDefaults(root)
	return root
}

// stackFlag adds the flag --stack to a command that works on a stack, and to its subcommands.
func (io stdio) stackFlag(c *cobra.Command) {
	what := "work on the stack that is up in `DIR` (default: that of HARNESS_STACK, else the one that is up here or above)"
	if c.Name() == "up" {
		what = "keep .harness in `DIR`, which may be missing, so that stacks can be up side by side; other commands find the\nstack by the same flag (default: that of HARNESS_STACK, else here)"
	}
	c.PersistentFlags().StringVar(io.stack, "stack", "", what)
	must(c.MarkPersistentFlagDirname("stack"))
}

// describeDefaults gives the commands that cobra adds help texts like those of the others.
func describeDefaults(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Short = "print a script that makes a shell complete command lines"
			c.Example = "  source <(harness completion bash)\n  harness completion zsh > \"${fpath[1]}/_harness\"\n  harness completion fish | source"
		}
	}
}

// stackDir is the directory of the stack that is named; empty where none is.
func (io stdio) stackDir() string { return cmp.Or(*io.stack, io.getenv(statefile.EnvStack)) }

// findState returns the stack that is named, else the one that is up here.
func (io stdio) findState() (statefile.State, error) {
	s, _, err := statefile.Find(io.stackDir())
	return s, err
}

func isNoStack(err error) bool { return errors.Is(err, statefile.ErrNoStack) }
